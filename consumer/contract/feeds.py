"""Which register holds which field: found by taking a field away from an event that carries all and folding again.

Nothing is listed by hand, so the page cannot say anything that the fold does not do.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson

from events import Event, Verb, encode
from events.codec import validate
from events.examples import example, examples
from events.fold import REGISTERS, Register, state_of
from events.identity import RunKey
from events.models import ExecutionData
from events.vocabulary import VERBS, Authority

_GROUPS = (
    ("any verb", frozenset(Verb)),
    ("verbs with a status", frozenset(verb for verb, rule in VERBS.items() if rule.status is not None)),
    ("terminal verbs", frozenset(verb for verb, rule in VERBS.items() if rule.terminal)),
)


@cache
def registers_of(field: str) -> tuple[str, ...]:
    """Return the registers whose values depend on a field of `data`, `id` first if the field names the run."""
    holders = {name: True for verb in Verb for name in _changed(verb, field)}
    return (*(["id"] if field in RunKey._fields else []), *holders)


def fields_of(register: Register) -> list[str]:
    """Return the fields of `data` that the values of a register depend on."""
    return [field for field in ExecutionData.model_fields if register.name in registers_of(field)]


def fed_by(register: Register) -> str:
    """Return which events feed a register: their verbs, whether a field must be carried, and their authorities."""
    carried = _feeding(register, _everything())
    silent = _feeding(register, _names())
    heard = [authority for authority in Authority if _feeding(register, _everything() | {"authority": authority})]
    words = [_group(carried)]
    if heard != list(Authority):
        words.append(f"of authority {' or '.join(f'`{authority}`' for authority in heard)}, but no revisions")
    elif silent != carried:
        words.append("with the field" + (f", and {_group(silent)} in any case" if silent else ""))
    return " ".join(words)


def _feeding(register: Register, data: dict[str, Any]) -> frozenset[Verb]:
    return frozenset(verb for verb in Verb if register.name in _values(_event(verb, data)))


def _group(verbs: frozenset[Verb]) -> str:
    named = next((name for name, group in _GROUPS if group == verbs), None)
    return named or ", ".join(f"`{verb}`" for verb in Verb if verb in verbs)


def _names() -> dict[str, Any]:
    return {name: _everything()[name] for name, field in ExecutionData.model_fields.items() if field.is_required()}


def _changed(verb: Verb, field: str) -> list[str]:
    full = _everything()
    without = {name: value for name, value in full.items() if name != field}
    if ExecutionData.model_fields[field].is_required():
        without[field] = "another"
    a, b = _values(_event(verb, full)), _values(_event(verb, without))
    return [register.name for register in REGISTERS if a.get(register.name) != b.get(register.name)]


def _values(event: Event) -> dict[str, tuple[Any, ...]]:
    return {name: cell.values for name, cell in state_of(event).registers.items()}


@cache
def _everything() -> dict[str, Any]:
    """Return `data` with every field that any example carries, as a server's first-hand report."""
    merged: dict[str, Any] = {}
    for event in examples().values():
        merged |= orjson.loads(encode(event))["data"]
    del merged["revises"]  # a revision is no report, and claims are made of reports
    return merged | {"attempt": 2, "authority": "server", "namespace": "billing"}


def _event(verb: Verb, data: dict[str, Any]) -> Event:
    model = example(verb)
    return validate({"id": model.id, "source": model.source, "verb": verb, "time": model.time, "data": data})
