"""Whatever bytes arrive, the decoder ends in one of its three ways, and what it takes PostgreSQL takes too."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from itertools import chain
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from events import Event, InvalidEvent, Skipped, decode
from events.fold import merge, state_of
from events.models import ExecutionData
from events.row import row
from events.vocabulary import Verb
from tests.hostile.batches import GOOD, TableInPostgres, apply, chunk_of, prepared, table_in_postgres
from tests.hostile.cases import CASES, Sent
from tests.unit.records import ENVELOPE, NAMES

RUNS = ("fuzz-1", "fuzz-2", "fuzz-3")
ENVELOPE_FIELDS = sorted({*Event.model_fields, "type", "datacontenttype", "comunknown"} - {"verb"})
DATA_FIELDS = sorted({*ExecutionData.model_fields, "unknown"})

# Records to damage: good ones, and small ones of every trick.
SEEDS = sorted(
    {
        each.value
        for each in [*GOOD[:100], *chain.from_iterable(case.sent[:3] for case in CASES)]
        if each.value and len(each.value) < 1_000
    }
)

# What a field may hold where it is looked at closely: kinds, bounds, and what lies just beyond them.
TELLING: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 2**31 - 1, 2**31, 2**53 - 1, 2**53, 2**63, 2**64, 10**39, 10**40, 10**4_000),
    *(0.0, -0.0, 0.5, 1.0, 1e16, 1e22, 1.5e38, 1e39, 1e300, 5e-324, math.nan, math.inf, -math.inf),
    *("", " ", "x", "x" * 512, "x" * 513, "é" * 256, "x" * 8_192, "x" * 8_193, "\x00", "\ud800", "\ude00\ud83d", "😀"),
    *("\x1b\x9b\u202e", "\\u0000", "1", "NaN", "inferred", "worker", "server", "operator", "default", *RUNS),
    *("2000-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789+14:00", "2099-12-31T23:59:59.999999Z"),
    *("2100-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2026-01-01", 1_700_000_000),
    *([], [[]], {}, {"message": "m"}, {"message": "m", "code": "\x00"}, {"message": None}, {"$withheld": "x"}),
    *({"done": 1, "total": 10**20}, {"done": 1e22}, {"done": 0.1, "message": ""}, {"done": math.nan}, {"a": "b"}),
    *({"a": "\ud800"}, {str(n): "" for n in range(65)}, {"k" * 1_025: "v"}),
    *({"temporal_workflow_id": "p", "temporal_run_id": run} for run in ("1", "", "\x00")),
)

_TEXTS = st.text(max_size=6)  # of any code points, halves of pairs and NUL among them
_JSON = st.recursive(
    st.integers() | st.floats() | _TEXTS | st.sampled_from(TELLING),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=2),
    max_leaves=5,
)
_DEPTHS = (1, 98, 99, 100, 101, 250)
_NESTED = tuple(json.loads("[" * n + text + "]" * n) for n in _DEPTHS for text in ("1", r'"\u0000"', '{"a": 1}'))
# What is strange and allowed, so that a record gets past the decoder with it.
_TIMES = ("2000-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789+14:00", "2099-12-31T23:59:59.999999Z")
_ALLOWED: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(DATA_FIELDS, (" ", "x" * 512, "é" * 256, "\x1b\x9b\u202e", "\\u0000", "😀", "'; --", None)),
    **dict.fromkeys(("scheduled_for", "started_at", "completed_at"), _TIMES),
    **dict.fromkeys(("parent", "root"), ({"temporal_workflow_id": "é", "temporal_run_id": "\x7f", "namespace": None},)),
    "temporal_run_id": RUNS,
    "attempt": (1, 2, 2**31 - 1),
    "authority": ("inferred", "worker", "server", "operator"),
    "revises": (True, False),
    "duration_ms": (0, 2**53 - 1),
    "timeout_ms": (0, 2**53 - 1),
    "activities_executed": (0, 2**31 - 1),
    "labels": ({}, {"": ""}, {"\x1b": "\u202e"}, {"a": "\x00"}, {str(n): "x" * 1_000 for n in range(64)}),
    "error": ({"message": ""}, {"message": "\ud800"}, {"message": "m", "code": "\x9b", "retryable": False, "new": 1}),
    "progress": (
        {},
        {"done": 1e22, "total": 10**39},
        {"done": -0.0},
        {"done": 0.1},
        {"total": 1e39},
        {"done": math.nan},
    ),
    "reason": ("", "x" * 8_192, "\x00"),
}

# A field of `data` or of the envelope, and what it says instead.
_CHANGES = (
    st.sampled_from([("data", name, value) for name, values in _ALLOWED.items() for value in values])
    | st.tuples(st.just("data"), st.sampled_from(["input", "output", "unknown"]), st.sampled_from(_NESTED) | _JSON)
    | st.tuples(st.just("data"), st.sampled_from(DATA_FIELDS), st.sampled_from(TELLING))
    | st.tuples(st.just(""), st.sampled_from(ENVELOPE_FIELDS), st.sampled_from(TELLING))
)


def _changed(verb: Verb, run: str, attempt: int, changes: list[tuple[str, str, Any]]) -> bytes:
    record: dict[str, Any] = ENVELOPE | {"type": f"workflow.execution.{verb}.v1"}
    record["data"] = data = NAMES | {"temporal_run_id": run, "attempt": attempt}
    for place, name, value in changes:
        (data if place else record)[name] = value
    return json.dumps(record).encode()


# Records whose fields hold what they should not, and some fields that nobody asked for.
structures = st.builds(
    _changed, st.sampled_from(list(Verb)), st.sampled_from(RUNS), st.integers(1, 2), st.lists(_CHANGES, max_size=4)
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A record of which some bytes were flipped, deleted, inserted, doubled, or replaced by a piece of another."""
    value = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
        begin = draw(st.integers(0, len(value)))
        end = min(len(value), begin + draw(st.integers(0, 20)))
        match draw(st.sampled_from(["flip", "flip", "flip", "delete", "insert", "double", "splice"])):
            case "flip":
                flipped = bytes(byte ^ draw(st.sampled_from([1, 2, 16, 32, 128])) for byte in value[begin : begin + 1])
                value = value[:begin] + flipped + value[begin + 1 :]
            case "delete":
                value = value[:begin] + value[end:]
            case "insert":
                value = value[:begin] + draw(st.binary(max_size=8)) + value[begin:]
            case "double":
                value = value[:end] + value[begin:end] + value[end:]
            case "splice":
                other = draw(st.sampled_from(SEEDS))
                value = value[:begin] + other[draw(st.integers(0, len(other))) :]
    return value


def outcome(value: bytes) -> Event | Skipped | str:
    """What the decoder makes of bytes: an event, a skip, or the reason of a refusal."""
    try:
        return decode(value)
    except InvalidEvent as error:
        return error.reason


def holds(value: bytes) -> None:
    """Take bytes all the way to a transaction's content; what was decoded folds into one row, once or twice."""
    found = outcome(value)
    work = prepared(chunk_of([Sent(value), Sent(value)]))
    if isinstance(found, Event):
        state = state_of(found)
        assert merge(state, state) == state
        assert work.states == [state]
        assert row(state).id == found.execution_id
        assert len(work.withheld) == (2 if found.withheld else 0)
    elif isinstance(found, Skipped):
        assert work.outcomes == {(found.reason, ""): 2}
    else:
        assert found
        assert [letter.reason for letter in work.dead_letters] == [found, found]


@given(st.binary(max_size=200))
def test_random_bytes_end_somewhere(value: bytes) -> None:
    """Random bytes are refused or skipped with a reason, and never crash anything."""
    holds(value)


@settings(max_examples=1_000)
@given(damaged())
def test_damaged_records_end_somewhere(value: bytes) -> None:
    """Damaged records are applied, skipped or refused, and never crash anything."""
    holds(value)


@settings(max_examples=600)
@given(structures)
def test_strange_structures_end_somewhere(value: bytes) -> None:
    """Records with strange values in any of their fields are applied, skipped or refused, and never crash anything."""
    holds(value)


@pytest.mark.parametrize(
    ("fuzzer", "refusals"),
    [
        (damaged(), {"not_json", "not_utf8", "missing", "not_a_time", "duplicate_name"}),
        (structures, {"not_a_string", "not_an_integer", "not_a_time", "not_finite", "lone_surrogate", "missing"}),
    ],
    ids=["damaged", "structures"],
)
def test_the_fuzzers_reach_every_end(fuzzer: st.SearchStrategy[bytes], refusals: set[str]) -> None:
    """The fuzzers make records that are applied, some without a payload, and records that are refused in many ways."""
    ends = set()

    @settings(max_examples=500)
    @given(fuzzer)
    def reach(value: bytes) -> None:
        found = outcome(value)
        ends.add(("withheld" if found.withheld else "applied") if isinstance(found, Event) else found)

    reach()
    assert ends >= {"applied", "withheld", *refusals}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def table(shared_database_url: str) -> AsyncIterator[TableInPostgres]:
    """A table in PostgreSQL."""
    async with table_in_postgres(shared_database_url) as opened:
        yield opened


@pytest.mark.asyncio(loop_scope="module")
@settings(max_examples=60)
@given(st.lists(structures | damaged(), min_size=10, max_size=30), st.integers(0, 10))
async def test_no_batch_is_refused(table: TableInPostgres, values: list[bytes], cut: int) -> None:
    """Strange and damaged records, in two batches cut anywhere, are taken by PostgreSQL and read back as folded."""
    await table.forget()
    sent = [Sent(value) for value in values]
    for part in (chunk_of(sent[:cut]), chunk_of(sent[cut:], cut)):
        await apply(table.store, part, prepared(part))
    whole = prepared(chunk_of(sent))
    assert await table.rows() == {state.run.id: row(state) for state in whole.states}
    assert await table.dead_letters() == whole.dead_letters
    assert await table.withheld() == whole.withheld
