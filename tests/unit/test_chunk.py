"""Chunks: what their halves do together is what the whole would have done."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from consumer.chunk import Chunk, ChunkQueue, Prepared, Refusal, Span
from consumer.record import Record
from events.position import TopicPartition

PARTITIONS = [TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)]


def record(offset: int) -> Record:
    """A record of which only the offset matters."""
    return Record(offset, 0, None, b"")


@st.composite
def chunks(draw: st.DrawFn) -> Chunk:
    """Records with holes between them, over partitions of which some only move."""
    records: dict[TopicPartition, tuple[Record, ...]] = {}
    spans: dict[TopicPartition, Span] = {}
    for partition in draw(st.lists(st.sampled_from(PARTITIONS), min_size=1, unique=True)):
        start = draw(st.integers(0, 100))
        offsets = sorted(draw(st.sets(st.integers(start, start + 30), max_size=9)))
        end = max([*offsets, start]) + 1 + draw(st.integers(0, 3))
        without_records_may_be_left_out: bool = draw(st.booleans())
        if offsets or without_records_may_be_left_out:
            records[partition] = tuple(map(record, offsets))
        spans[partition] = Span(start, end)
    return Chunk(7, records, spans)


def leaves(chunk: Chunk) -> list[Chunk]:
    """The chunks that are left when halving goes on until nothing can be halved."""
    return [leaf for half in chunk.halves() for leaf in leaves(half)] or [chunk]


@given(chunks())
def test_halves_of_halves_are_the_whole(chunk: Chunk) -> None:
    """Halved to the end, a chunk is single records in their order, whose spans follow each other without a gap."""
    parts = leaves(chunk)
    records: dict[TopicPartition, list[Record]] = defaultdict(list)
    spans: dict[TopicPartition, list[Span]] = defaultdict(list)
    for part in parts:
        assert len(part) <= 1 or part is chunk
        assert (part.generation, part.refusal) == (7, None)
        for partition, span in part.spans.items():
            spans[partition].append(span)
        for partition, some in part.records.items():
            records[partition] += some
            assert all(part.spans[partition].from_offset <= r.offset < part.spans[partition].next_offset for r in some)
    assert {p: tuple(r) for p, r in records.items() if r} == {p: r for p, r in chunk.records.items() if r}
    assert set(spans) == set(chunk.spans)
    for partition, steps in spans.items():
        ends = [steps[0].from_offset, *(step.next_offset for step in steps)]
        assert [step.from_offset for step in steps] == ends[:-1]
        assert (ends[0], ends[-1]) == chunk.spans[partition]


@given(chunks())
def test_halves_are_smaller_and_none_is_empty(chunk: Chunk) -> None:
    """Both halves have records and the first no more than the second, so that halving ends after a few rounds."""
    halves = chunk.halves()
    assert len(halves) == (2 if len(chunk) > 1 else 0)
    if halves:
        first, second = map(len, halves)
        assert 0 < first <= second <= first + 1
        assert first + second == len(chunk)


def test_a_record_to_blame_is_set_aside_alone() -> None:
    """A chunk of one record becomes the same chunk with the reason for its dead letter."""
    partition = PARTITIONS[0]
    chunk = Chunk(1, {partition: (record(5),)}, {partition: Span(3, 9)})
    refusal = Refusal("refused_22021", "input", "why")
    aside = chunk.set_aside(refusal)
    assert (aside.records, aside.spans, aside.generation) == (chunk.records, chunk.spans, 1)
    assert aside.refusal == refusal
    assert chunk.halves() == []


def one(offset: int) -> Chunk:
    """A chunk of one record."""
    return Chunk(1, {PARTITIONS[0]: (record(offset),)}, {PARTITIONS[0]: Span(offset, offset + 1)})


def test_chunks_are_prepared_one_after_the_other_and_applied_in_order() -> None:
    """The queue gives one chunk at a time to prepare, and the first only once it is prepared."""
    queue, first, second = ChunkQueue(), one(0), one(1)
    queue.append(first)
    queue.append(second)
    assert [queue.first_prepared] == [None]
    assert queue.begin_to_prepare() is first
    assert queue.begin_to_prepare() is None
    work = Prepared()
    queue.prepared(first, work)
    assert queue.begin_to_prepare() is second
    assert queue.first_prepared == (first, work)
    assert not queue.take_first(second)
    assert queue.take_first(first)
    assert len(queue) == 1
    assert queue.moves(PARTITIONS[0])
    assert not queue.moves(PARTITIONS[1])


def test_halves_go_back_to_the_head_in_their_order() -> None:
    """Chunks that are put first come before everything that waits, and keep their order."""
    queue, waiting, halves = ChunkQueue(), one(9), [one(1), one(2)]
    queue.append(waiting)
    queue.put_first(halves)
    for expected in (*halves, waiting):
        prepared = queue.begin_to_prepare()
        assert prepared is expected
        queue.prepared(expected, Prepared())
        assert queue.take_first(expected)


def test_a_dropped_chunk_is_forgotten_even_while_it_is_prepared() -> None:
    """What was dropped during its preparation is neither applied nor taken."""
    queue, chunk = ChunkQueue(), one(0)
    queue.append(chunk)
    assert queue.begin_to_prepare() is chunk
    queue.drop()
    queue.prepared(chunk, Prepared())
    assert queue.first_prepared is None
    assert not queue.take_first(chunk)
    assert len(queue) == 0
