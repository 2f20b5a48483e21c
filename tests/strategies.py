"""Hypothesis strategies for events: few names, few instants, so that ties, conflicts and repetitions are the rule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from events import Authority, Event, Verb, decode, encode
from events.payload import JsonText
from events.vocabulary import VERBS
from tests.lives import at, event

RUNS = ("run-1", "run-2", "run-3")
TERMINAL_VERBS = tuple(verb for verb in Verb if VERBS[verb].terminal)

# Few distinct instants, some of them before their neighbours' and one far off: clocks are coarse and skewed.
SECONDS = (0.0, 1.0, 1.000001, 2.0, 3.0, -5.0, 260_000.0)
# Texts that a careless reader, encoder or formatter gets wrong.
NASTY_TEXTS = (
    "plain",
    "it's",
    '"quoted"',
    "two\nlines",
    "😀",
    "e\u0301",
    "\u202eltr",
    "\\u0000",
    "'; DROP TABLE t; --",
    " ",
)
# JSON that loses something when it is parsed and printed again by a careless hand.
NASTY_JSON = tuple(
    JsonText(text)
    for text in (
        "0",
        "-0.0",
        "1.0",
        "1E5",
        "1e23",
        "-1.50e22",
        "1e-39",
        "18446744073709551616",
        "123456789012345678901234567890.12345678",
        '"\\ud83d\\ude00"',
        '"\\\\u0000"',
        '{"b": 1, "a": {"": [], "b": {}}}',
        '{"twice": 1, "twice": 2}',
        "[true, false, null]",
        "[" * 100 + "]" * 100,
    )
)

moments = st.sampled_from(SECONDS).map(at)
identifiers = st.sampled_from(NASTY_TEXTS)
any_identifiers = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=60)
payloads = st.sampled_from(NASTY_JSON)

# Any JSON value whose numbers are short enough to be kept.
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(-1e15, 1e15, allow_subnormal=False).map(lambda x: round(x, 6))
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab\n"\\é😀', max_size=4), inner, max_size=4),
    max_leaves=8,
)
json_texts = st.builds(
    lambda value, ascii_only, indent: JsonText(json.dumps(value, ensure_ascii=ascii_only, indent=indent)),
    json_values.filter(lambda value: value is not None),
    st.booleans(),
    st.sampled_from([None, 0, 1]),
)

_errors = st.fixed_dictionaries(
    {"message": st.sampled_from(["E1", "E2", *NASTY_TEXTS[:3]])},
    optional={"type": identifiers, "code": identifiers, "stack_trace": identifiers, "retryable": st.booleans()},
)
_progress = st.fixed_dictionaries(
    {},
    optional={
        "done": st.sampled_from([0, 1, 2.5, 10**20]),
        "total": st.sampled_from([3, 1e22]),
        "message": st.sampled_from(["half", "more"]),
    },
)
_references = st.fixed_dictionaries(
    {"temporal_workflow_id": st.sampled_from(["p", "q"]), "temporal_run_id": st.sampled_from(["1", "2"])},
    optional={"namespace": st.just("elsewhere")},
)
_optional_fields: dict[str, st.SearchStrategy[Any]] = {
    "user_id": st.sampled_from(["ada", "bob"]),
    "workflow_name": st.sampled_from(["Invoice", "Invoicing"]),
    "orchestrator": st.sampled_from(["temporal", "airflow"]),
    "next_run_id": st.sampled_from(["next-1", "next-2"]),
    "scheduled_for": moments,
    "started_at": moments,
    "parent": _references,
    "root": _references,
    "labels": st.dictionaries(st.sampled_from(["team", "tier"]), identifiers, max_size=2),
    "input": payloads,
    "output": payloads,
    "error": _errors,
    "progress": _progress,
    "duration_ms": st.sampled_from([0, 1, 5_000_000_000]),
    "activities_executed": st.integers(0, 3),
    "reason": identifiers,
    "actor": identifiers,
    "queue": identifiers,
    "timeout_kind": identifiers,
    "timeout_ms": st.sampled_from([0, 1_000]),
}
_some_fields = st.lists(st.sampled_from(sorted(_optional_fields)), max_size=6, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: _optional_fields[name] for name in names})
)


@st.composite
def events(draw: st.DrawFn, runs: Sequence[str] = RUNS, verbs: Sequence[Verb] = tuple(Verb)) -> Event:
    """Any event that the contract allows, of one of a few runs."""
    verb = draw(st.sampled_from(verbs))
    authority = draw(st.sampled_from(list(Authority)))
    data: dict[str, Any] = {"workflow_id": draw(st.sampled_from(["invoice", "billing"])), "authority": str(authority)}
    data |= draw(_some_fields)
    if authority is Authority.SERVER:
        data["revises"] = draw(st.booleans())
    needs_attempt = VERBS[verb].terminal and authority in (Authority.OPERATOR, Authority.INFERRED)
    if needs_attempt or draw(st.booleans()):
        data["attempt"] = draw(st.integers(1, 3))
    if authority is Authority.OPERATOR or draw(st.integers(0, 3)) == 0:
        data["completed_at"] = draw(moments)
    seconds = draw(st.sampled_from(SECONDS))
    made = event(verb, seconds, run=draw(st.sampled_from(runs)), event_id=draw(st.sampled_from(["e1", "e2"])), **data)
    read = decode(encode(made))
    assert isinstance(read, Event)
    return read


def histories(max_size: int = 8, runs: Sequence[str] = RUNS[:1]) -> st.SearchStrategy[list[Event]]:
    """Events of one execution (or of a few), in the order in which they are read."""
    return st.lists(events(runs), min_size=1, max_size=max_size)


def use_profile() -> None:
    """Let Hypothesis try the same examples in every run, without a clock."""
    settings.register_profile("ci", derandomize=True, max_examples=200, deadline=None)
    settings.load_profile("ci")
