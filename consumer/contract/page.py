"""The page `docs/event-contract.md`, made from the vocabulary, the models, the limits and the registers."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from datetime import datetime

from consumer.contract import feeds, fields
from consumer.contract.texts import example_text
from events import Status, Verb, limits
from events.codec import CONTENT_TYPE
from events.fold import REGISTERS, Register
from events.models import PAYLOAD_FIELDS, type_of
from events.orders import Part
from events.vocabulary import VERBS, VerbRule

_SHOWN = Verb.COMPLETED
_PARTS = {"ErrorInfo": "error.", "Progress": "progress.", "RunReference": "parent."}

_INTRODUCTION = f"""\
<!-- Made by `make contract` from events/; changes by hand are lost. -->
# The event contract

An event says what happened to one execution. It is a [CloudEvent](https://cloudevents.io) 1.0 in structured JSON, the
value of a Kafka record with the header `content-type: {CONTENT_TYPE}` and the execution's id as its key.
`source` and `id` name the event. An execution is one run, named by `namespace`, `temporal_workflow_id` and
`temporal_run_id`; its id is a UUIDv5 of the three. Events may come twice and in any order: a row is a function of their
set. Every event may carry every field, so that a late `completed` with `started_at` repairs a lost `started`; a null is
a field that is not stated. [publishing.md](publishing.md) shows how to publish them from Python.

The binary mode is read as well: the value is `data` alone, and the headers `ce_id`, `ce_source`, `ce_specversion`,
`ce_type`, `ce_time`, … are the envelope. A record is in that mode if it has `ce_specversion` and its `content-type` is
not `application/cloudevents…`. In the structured mode `data` may also come as `data_base64`.

For programs: [schema for publishers](contract/publisher.schema.json) (closed: an unknown field is a mistake),
[schema for consumers](contract/consumer.schema.json) (open: v1 only grows), [AsyncAPI](contract/asyncapi.json), and an
example of every verb in `contract/examples`. `wex lint FILE` says what is wrong with an event, or what row it makes.
"""

_PAYLOADS = f"""\
{", ".join(f"`{name}`" for name in sorted(PAYLOAD_FIELDS))} are payloads: what PostgreSQL cannot hold there is withheld
and the event stands. Anything else that is wrong makes the record a dead letter with a reason and the field's name. A
field that the contract does not know is ignored, a verb of v1 that it does not know is skipped, another version is
refused. v1 only grows; should there be a v2, what v1 said is read for ever, through an upcaster.

- A name that stands twice in the envelope or in `data` makes the record a dead letter: nobody can say which is meant.
- A terminal event of authority `inferred` must state `attempt`; one of an `operator` must state `attempt` and
  `completed_at`.
- Only authority `server` can say `revises`.
"""

_FOLD = """\
The fold keeps registers, each an order and values. Of two events that feed a register the greater order wins; orders
are compared part by part from left to right, and their end sees to it that equal orders mean equal values. The row is
derived from the registers; from columns that begin with `register_` it takes only what belongs to what it shows.
"""


def page() -> str:
    """Return the page."""
    sections = [_INTRODUCTION, *_vocabulary(), *_fields(), *_registers(), *_limits(), *_example()]
    return "\n".join(sections)


def _vocabulary() -> Iterator[str]:
    yield "## Verbs\n"
    verbs = ((f"`{type_of(verb)}`", _code(rule.status), rule.meaning) for verb, rule in _in_order())
    yield _table(("type", "status", "meaning"), verbs)
    yield "At equal times a verb further down wins, as far as it claims a status.\n"
    yield "## Statuses\n"
    yield _table(("status", "has ended", "claimed by"), (_status(status) for status in Status))


def _in_order() -> list[tuple[Verb, VerbRule]]:
    return sorted(VERBS.items(), key=lambda item: item[1].code)


def _status(status: Status) -> tuple[str, ...]:
    claimed_by = _codes(verb for verb, rule in VERBS.items() if rule.status is status)
    return f"`{status}`", "yes" if status.terminal else "no", claimed_by


def _fields() -> Iterator[str]:
    yield "## The envelope\n"
    yield _table(("field", "type", "limit", "meaning"), map(_field, fields.envelope()))
    yield "## The fields of `data`\n"
    data = ((*_field(field), _codes(feeds.registers_of(field.name))) for field in fields.part("ExecutionData"))
    yield _table(("field of data", "type", "limit", "meaning", "held by"), data)
    yield "The last column names the registers below; a field without one is carried in the log and decides at most"
    yield "which event wins.\n"
    parts = (_field(field) for name, prefix in _PARTS.items() for field in fields.part(name, prefix))
    yield _table(("part", "type", "limit", "meaning"), parts)
    yield _PAYLOADS


def _field(field: fields.Field) -> tuple[str, ...]:
    required = " (required)" if field.required else ""
    return f"`{field.name}`{required}", field.type, field.limit, field.meaning


def _registers() -> Iterator[str]:
    yield "## What becomes of an event\n"
    yield _FOLD
    head = ("register", "fed by", "fields", "order", "columns")
    yield _table(head, (_register(register) for register in REGISTERS))
    parts = {part.__name__: _first_sentence(part) for register in REGISTERS for part in register.order}
    yield _table(("part of an order", "rule"), ((f"`{name}`", rule) for name, rule in parts.items()))


def _register(register: Register) -> tuple[str, ...]:
    order = [part.__name__ for part in register.order] + (["digest"] if register.digest else [])
    held = _codes(feeds.fields_of(register))
    return f"`{register.name}`", feeds.fed_by(register), held, _codes(order), _codes(register.columns)


def _first_sentence(part: Part) -> str:
    return (inspect.getdoc(part) or "").split(". ")[0].removesuffix(".")


def _limits() -> Iterator[str]:
    yield "## Limits\n"
    yield "They are constants of the contract, no settings: what is refused today is refused in every replay.\n"
    yield _table(("limit", "value", "reason"), ((f"`{name}`", value, reason) for name, value, reason in limit_table()))


def limit_table() -> list[tuple[str, str, str]]:
    """Return every limit with its value and its reason, which is the comment beside it or above it."""
    source = inspect.getsource(limits)
    lines = source.splitlines()
    rows = []
    above = ""
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        name = node.targets[0].id
        beside = lines[node.lineno - 1].partition("  # ")[2]
        above = beside or _comment_above(lines, node.lineno - 1) or above
        rows.append((name, _value(getattr(limits, name)), above))
    return rows


def _comment_above(lines: list[str], line: int) -> str:
    first = line
    while lines[first - 1].startswith("# "):
        first -= 1
    return " ".join(text.removeprefix("# ") for text in lines[first:line]).removesuffix(".")


def _value(value: object) -> str:
    return f"{value:%Y-%m-%dT%H:%MZ}" if isinstance(value, datetime) else f"{value:,}"


def _example() -> Iterator[str]:
    yield "## An example\n"
    yield f"```json\n{example_text(_SHOWN)}```\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell or '-' for cell in row)} |".replace("| --- ", "|---") for row in lines) + "\n"


def _code(word: str | None) -> str:
    return f"`{word}`" if word else ""


def _codes(words: Iterable[str]) -> str:
    return ", ".join(map(_code, words))
