"""The batch builder: one hostile record costs itself and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

import pytest

from consumer.batch import SLICE_RECORDS, prepare
from consumer.chunk import Chunk, Prepared, Refusal, Span
from consumer.record import Record
from consumer.replay.wanted import Window
from events import Event, decode, encode, fold
from events.catalogue import Catalogue
from events.position import TopicPartition
from tests.lives import event
from tests.unit.records import record
from tests.unit.test_codec import DATA, ENVELOPES, NOT_EVENTS, PAYLOADS_WITHHELD

P = TopicPartition("executions", 0)
Q = TopicPartition("executions", 1)
VERBS = ("scheduled", "started", "heartbeat", "completed", "failed")

GOOD = [
    event(VERBS[n % 5], n, run=f"run-{n % 40}", user_id=f"user-{n % 7}", error={"message": "E"}) for n in range(500)
]
GOOD_VALUES = [encode(one) for one in GOOD]


def run(chunk: Chunk) -> tuple[Prepared, int]:
    """Prepare a chunk to the end; what it became, and how often it let others have their turn."""
    done: list[Prepared] = []

    def to_the_end() -> Iterator[None]:
        done.append((yield from prepare(chunk)))

    turns = sum(1 for _ in to_the_end())
    return done[0], turns


def chunk_of(*values: Sequence[bytes | None], refusal: Refusal | None = None) -> Chunk:
    """A chunk of records over one or two partitions, with keys and headers that mean nothing."""
    records = {
        p: tuple(Record(n, n - 1, b"\xff", value, (("h", None),)) for n, value in enumerate(some))
        for p, some in zip((P, Q), values, strict=False)
    }
    return Chunk(1, records, {p: Span(0, len(some)) for p, some in records.items()}, refusal)


def by_run(events: Sequence[Event]) -> dict[object, list[Event]]:
    """Events by the execution they speak of."""
    runs: dict[object, list[Event]] = {}
    for one in events:
        runs.setdefault(one.data.run, []).append(one)
    return runs


EXPECTED = {run_: fold(of_run) for run_, of_run in by_run(GOOD).items()}
HOSTILE: dict[str, bytes] = {
    **{f"bytes: {name}": value for name, (value, _) in NOT_EVENTS.items()},
    **{f"envelope {n}: {field} {reason}": record(**e) for n, (e, reason, field) in enumerate(ENVELOPES)},
    **{f"data {n}: {field} {reason}": record(d) for n, (d, reason, field) in enumerate(DATA)},
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=[ascii(name)[:60] for name in HOSTILE])
def test_a_hostile_record_costs_only_itself(hostile: bytes) -> None:
    """Five hundred good records around a hostile one give the states they give without it, and one dead letter."""
    prepared, _ = run(chunk_of([*GOOD_VALUES[:250], hostile, *GOOD_VALUES[250:]]))
    assert {state.run: state for state in prepared.states} == EXPECTED
    assert prepared.catalogue == Catalogue.of(GOOD)
    assert prepared.count("applied") == 500
    [letter] = prepared.dead_letters
    assert (letter.partition, letter.offset, letter.value) == (P, 250, hostile)
    assert letter.reason


@pytest.mark.parametrize(("field", "text", "code"), PAYLOADS_WITHHELD, ids=lambda text: ascii(text)[:40])
def test_a_hostile_payload_costs_only_itself(field: str, text: str, code: str) -> None:
    """A record with a payload that cannot be held is applied among the others, and kept byte for byte."""
    hostile = record({"temporal_run_id": "hostile"}, raw={field: text})
    prepared, _ = run(chunk_of([*GOOD_VALUES[:250], hostile, *GOOD_VALUES[250:]]))
    states = {state.run: state for state in prepared.states}
    found = decode(hostile)
    assert isinstance(found, Event)
    assert states.pop(found.data.run) == fold([found])
    assert states == EXPECTED
    assert prepared.dead_letters == []
    [payload] = prepared.withheld
    assert (payload.partition, payload.offset, payload.execution_id) == (P, 250, found.execution_id)
    assert (payload.codes, payload.value) == ({field: code}, hostile)


def test_a_dead_letter_keeps_the_whole_record() -> None:
    """A dead letter has the record's coordinates, time, key, value and headers, and why it is one."""
    prepared, _ = run(chunk_of([b"{}"]))
    [letter] = prepared.dead_letters
    assert (letter.timestamp_ms, letter.key, letter.value, letter.headers) == (-1, b"\xff", b"{}", (("h", None),))
    assert (letter.reason, letter.field) == ("missing", "type")


def test_tombstones_and_unknown_verbs_are_counted() -> None:
    """Null values and unknown verbs are counted by reason, and leave nothing else."""
    unknown = record(type="workflow.execution.defrosted.v1")
    prepared, _ = run(chunk_of([None, unknown, None]))
    assert prepared.outcomes == {("tombstone", ""): 2, ("unknown_verb", ""): 1}
    assert (prepared.states, prepared.dead_letters) == ([], [])


def test_the_cut_and_the_partition_do_not_show() -> None:
    """The same records over two partitions in any split give the same states."""
    one, _ = run(chunk_of(GOOD_VALUES))
    two, _ = run(chunk_of(GOOD_VALUES[300:], GOOD_VALUES[:300]))
    assert {s.run: s for s in one.states} == {s.run: s for s in two.states}
    assert one.catalogue == two.catalogue


def test_preparing_lets_others_have_their_turn() -> None:
    """After every slice of records, over partitions too, the loop gets its turn."""
    assert run(chunk_of(GOOD_VALUES))[1] == 500 // SLICE_RECORDS
    assert run(chunk_of(GOOD_VALUES[:150], GOOD_VALUES[:60]))[1] == 1
    assert run(chunk_of([]))[1] == 0


def test_a_refused_record_becomes_a_dead_letter_unread() -> None:
    """A record that PostgreSQL refused is set aside with PostgreSQL's reason, though it is an event."""
    refusal = Refusal("refused_22P02", "input", "invalid input syntax")
    prepared, _ = run(chunk_of(GOOD_VALUES[:1], refusal=refusal))
    [letter] = prepared.dead_letters
    assert (letter.reason, letter.field, letter.detail) == refusal
    assert letter.value == GOOD_VALUES[0]
    assert (prepared.states, prepared.outcomes) == ([], {("dead_letter", ""): 1})


def test_a_window_leaves_executions_out_and_the_catalogue_whole() -> None:
    """Executions outside of the window are not folded; workflows and users are collected all the same."""
    whole, _ = run(chunk_of(GOOD_VALUES))
    first, last = sorted(state.run.id for state in whole.states)[10:12]
    done: list[Prepared] = []

    def to_the_end() -> Iterator[None]:
        done.append((yield from prepare(chunk_of(GOOD_VALUES), Window(first, last))))

    list(to_the_end())
    assert {state.run.id for state in done[0].states} == {first, last}
    assert (done[0].catalogue, done[0].outcomes) == (whole.catalogue, whole.outcomes)
    assert not Window(first, first)(UUID(int=first.int + 1))
