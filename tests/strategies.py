"""Hypothesis strategies for events: few names, few instants, so that ties, conflicts and repetitions are the rule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from events import Event, Verb, decode, encode
from events.payload import JsonText, Withheld
from events.vocabulary import VERBS
from tests.histories_seen import HISTORIES, note, profile
from tests.lives import LIVES, at, event, life

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

any_identifiers = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=60)

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


def _as_decoded(text: JsonText) -> JsonText | Withheld:
    """A payload as the codec gives it: withheld if PostgreSQL could not hold it."""
    read = decode(encode(event("completed", output=text)))
    assert isinstance(read, Event)
    assert read.data.output is not None
    return read.data.output


_DECODED_JSON = tuple(map(_as_decoded, NASTY_JSON))
_KEPT_JSON = tuple(value for value in _DECODED_JSON if isinstance(value, JsonText))

# What an event may carry, and the values it may have, the simplest first.
_REFERENCES = tuple(
    {"temporal_workflow_id": workflow, "temporal_run_id": run} | namespace
    for namespace in ({}, {"namespace": "elsewhere"})
    for workflow in "pq"
    for run in "12"
)
_VALUES: dict[str, Sequence[Any]] = {
    "reason": NASTY_TEXTS,
    "actor": NASTY_TEXTS,
    "user_id": ("ada", "bob"),
    "workflow_name": ("Invoice", "Invoicing"),
    "orchestrator": ("temporal", "airflow"),
    "next_run_id": ("next-1", "next-2"),
    "scheduled_for": tuple(map(at, SECONDS)),
    "started_at": tuple(map(at, SECONDS)),
    "parent": _REFERENCES,
    "root": _REFERENCES,
    "labels": ({}, {"tier": "it's"}, *({"team": text} for text in NASTY_TEXTS), {"team": "plain", "tier": "plain"}),
    "input": _DECODED_JSON,
    "output": _DECODED_JSON,
    "error": (
        *({"message": message} for message in ("E1", "E2", *NASTY_TEXTS[:3])),
        *({"message": "E1", name: text} for text in NASTY_TEXTS for name in ("type", "code", "stack_trace")),
        *({"message": "E2", "code": "1", "retryable": retryable} for retryable in (False, True)),
    ),
    "progress": (
        *({}, {"message": "half"}, {"message": "more"}, {"total": 1e22}, {"done": 1, "total": 3, "message": "half"}),
        *({"done": done, "total": 3} for done in (0, 1, 2.5, 10**20)),
    ),
    "duration_ms": (0, 1, 5_000_000_000),
    "activities_executed": (0, 1, 2, 3),
    "queue": NASTY_TEXTS,
    "timeout_kind": NASTY_TEXTS,
    "timeout_ms": (0, 1_000),
}
Draft = dict[str, Any]  # the arguments of `tests.lives.event`
Fields = st.SearchStrategy[tuple[str, Any]]


def _fields(values: dict[str, Sequence[Any]]) -> Fields:
    """A field and its value in one draw, for histories are drawn often; every field is equally likely."""
    turns = range(max(map(len, values.values())))
    return st.sampled_from([(name, of[turn % len(of)]) for turn in turns for name, of in values.items()])


# A withheld payload is not encoded as what it was, but as a marker: only histories have them.
_any_fields = _fields(_VALUES)
_encoded_fields = _fields(_VALUES | {"input": _KEPT_JSON, "output": _KEPT_JSON})
_AUTHORITIES: tuple[Draft, ...] = (
    {},
    {"authority": "worker"},
    {"authority": "server"},
    {"authority": "server", "revises": True},
    {"authority": "operator"},
    {"authority": "inferred"},
)
_ends = st.sampled_from([*[None] * (3 * len(SECONDS)), *map(at, SECONDS)])


@st.composite
def _drafts(draw: st.DrawFn, runs: Sequence[str], verbs: Sequence[Verb], fields: Fields) -> Draft:
    return {
        "verb": draw(st.sampled_from(verbs)),
        "seconds": draw(st.sampled_from(SECONDS)),
        "run": draw(st.sampled_from(runs)),
        "event_id": draw(st.sampled_from(["e1", "e2"])),
        "workflow_id": draw(st.sampled_from(["invoice", "billing"])),
        "attempt": draw(st.sampled_from([None, 1, 2, 3, None])),
        "completed_at": draw(_ends),
        **draw(st.sampled_from(_AUTHORITIES)),
        **dict(draw(st.lists(fields, max_size=6))),
    }


def _event(draft: Draft) -> Event:
    """The event of a draft, with what the verdicts of operators and guessers must state."""
    if draft["verb"] in TERMINAL_VERBS and draft.get("authority") in ("operator", "inferred"):
        draft = draft | {"attempt": draft["attempt"] or 1}
        if draft["authority"] == "operator":
            draft["completed_at"] = draft["completed_at"] or at(draft["seconds"])
    return event(**{name: value for name, value in draft.items() if value is not None})


def events(runs: Sequence[str] = RUNS, verbs: Sequence[Verb] = tuple(Verb)) -> st.SearchStrategy[Event]:
    """Any event that the contract allows, of one of a few runs, as the codec would give it."""
    return _drafts(runs, verbs, _encoded_fields).map(_event)


@st.composite
def _echoes(draw: st.DrawFn, draft: Draft) -> Draft:
    """A twin of an event, with another value of one field, or a rival, which ends the same attempt in some way."""
    if draw(st.booleans()):
        authority = draw(st.sampled_from(["worker", "worker", "inferred", "operator"]))
        return draft | {"verb": draw(st.sampled_from(TERMINAL_VERBS)), "authority": authority, "revises": False}
    name = draw(st.sampled_from(sorted(draft.keys() & _VALUES.keys()) or ["reason"]))
    return draft | {name: draw(st.sampled_from(_VALUES[name]))}


@st.composite
def _contests(draw: st.DrawFn, draft: Draft) -> list[Draft]:
    """Two reports that end the same attempt in two ways; now and then."""
    if draw(st.integers(0, 5)):
        return []
    verbs = draw(st.lists(st.sampled_from(TERMINAL_VERBS), min_size=2, max_size=2, unique=True))
    authorities = st.sampled_from(["worker", "server"])
    return [draft | {"verb": verb, "authority": draw(authorities), "revises": False} for verb in verbs]


@cache
def _life(number: int, run: str) -> list[Event]:
    return life(number, run)[0]


@st.composite
def _histories(draw: st.DrawFn, run: str, min_size: int, max_size: int) -> list[Event]:
    drafts = draw(st.lists(_drafts((run,), tuple(Verb), _any_fields), min_size=min_size, max_size=max_size))
    echoes = draw(st.lists(st.sampled_from(drafts).flatmap(_echoes), max_size=2))
    echoes += draw(st.sampled_from(drafts).flatmap(_contests))
    # Half of the histories hold one of the lives as well, with events lost here and there, so that orderly ones are
    # met by every disturbance.
    number = draw(st.sampled_from([0] * len(LIVES) + list(range(1, len(LIVES) + 1))))
    of_life = [e for e in _life(number, run) if draw(st.integers(0, 4))] if number else []
    return of_life + list(map(_event, drafts + echoes))


@st.composite
def histories(draw: st.DrawFn, max_size: int = 6, min_size: int = 1) -> list[Event]:
    """Events of one execution, in the order in which they are read; nasty more often than not."""
    history = draw(_histories(RUNS[0], min_size, max_size))
    note([history])
    return history


@st.composite
def cut_histories(draw: st.DrawFn, parts: int, max_size: int = 6) -> list[list[Event]]:
    """A history that is cut into so many parts, none of them empty."""
    history = draw(histories(max_size, parts))
    inner = st.integers(1, len(history) - 1)
    cuts = draw(st.lists(inner, min_size=parts - 1, max_size=parts - 1, unique=True))
    return [history[begin:end] for begin, end in pairwise([0, *sorted(cuts), len(history)])]


@st.composite
def several_histories(draw: st.DrawFn, runs: Sequence[str] = RUNS[:2], max_size: int = 4) -> list[Event]:
    """Histories of several executions, read as one, in any order."""
    of_runs = [draw(_histories(run, 1, max_size)) for run in runs]
    note(of_runs)
    return draw(st.permutations([e for history in of_runs for e in history]))


def use_profile() -> None:
    """Let Hypothesis try the same examples in every run, or with WEX_LAWS=deep many others, without a clock."""
    for name, examples in HISTORIES.items():
        settings.register_profile(
            name, derandomize=name == "ci", max_examples=examples, deadline=None, print_blob=name == "deep"
        )
    settings.load_profile(profile())
