"""Chunks: accepted records of one or more partitions on their way into the table, and what becomes of them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from consumer.record import Record
from events.catalogue import Catalogue
from events.fold import State
from events.position import TopicPartition
from store.batch import DeadLetter, Move, WithheldPayload


class Span(NamedTuple):
    """The offsets that a chunk moves a position over: from the first, up to but without the second."""

    from_offset: int
    next_offset: int


class Refusal(NamedTuple):
    """Why PostgreSQL refuses a record: a reason to count by, the column or constraint at fault, and its own words."""

    reason: str
    field: str
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Records that go into the table in one transaction.

    Attributes:
        generation: the assignment under which they were accepted.
        records: by partition, in the order of their offsets; a partition that only moves has none.
        spans: what the positions move over; also where there is nothing to apply.
        refusal: set on a chunk of one record that PostgreSQL refuses.
    """

    generation: int
    records: Mapping[TopicPartition, tuple[Record, ...]]
    spans: Mapping[TopicPartition, Span]
    refusal: Refusal | None = None

    def __len__(self) -> int:
        return sum(map(len, self.records.values()))

    def halves(self) -> list[Chunk]:
        """Return two chunks that do the same one after the other; none if there is but one record to blame."""
        total = len(self)
        if total < 2:
            return []
        room = total // 2
        first: dict[TopicPartition, tuple[Record, ...]] = {}
        second: dict[TopicPartition, tuple[Record, ...]] = {}
        first_spans: dict[TopicPartition, Span] = {}
        second_spans: dict[TopicPartition, Span] = {}
        for partition, span in self.spans.items():
            records = self.records.get(partition, ())
            here, there = records[:room], records[room:]
            room -= len(here)
            middle = there[0].offset if there else span.next_offset
            if here or not there:
                first[partition], first_spans[partition] = here, Span(span.from_offset, middle)
            if there:
                start = middle if here else span.from_offset
                second[partition], second_spans[partition] = there, Span(start, span.next_offset)
        return [Chunk(self.generation, first, first_spans), Chunk(self.generation, second, second_spans)]

    def moves(self, tokens: Mapping[TopicPartition, UUID | None]) -> dict[TopicPartition, Move]:
        """Return the steps of the positions that go with this chunk, under these claims."""
        moves = {}
        for partition, span in self.spans.items():
            token = tokens[partition]
            assert token is not None, "only claimed partitions have chunks"
            anchors = (record.anchor for record in reversed(self.records.get(partition, ())))
            anchor = next((anchor for anchor in anchors if anchor is not None), None)
            moves[partition] = Move(token, span.from_offset, span.next_offset, anchor)
        return moves

    def set_aside(self, refusal: Refusal) -> Chunk:
        """Return the same chunk with its one record to become a dead letter."""
        return Chunk(self.generation, self.records, self.spans, refusal)


class Intake:
    """What one fetch brings into a chunk, up to a bound of bytes; a record alone always fits."""

    def __init__(self, room: int) -> None:
        self.records: dict[TopicPartition, tuple[Record, ...]] = {}
        self.spans: dict[TopicPartition, Span] = {}
        self._room = room

    def fitting(self, records: Sequence[Record]) -> Sequence[Record]:
        """The first records whose values fit."""
        room = self._room
        least = 0 if self.records else 1
        for count, record in enumerate(records):
            room -= record.size
            if room < 0 and count >= least:
                return records[:count]
        return records

    def take(self, partition: TopicPartition, records: Sequence[Record], span: Span) -> None:
        """Take records of a partition in, and what they move it over."""
        self.records[partition] = tuple(records)
        self.spans[partition] = span
        self._room -= sum(record.size for record in records)


@dataclass(slots=True)
class Prepared:
    """A chunk decoded and folded: everything its transaction writes, and what is counted once it is committed.

    Attributes:
        outcomes: records by outcome (see `wex_records_total`) and verb, empty where no verb is known.
    """

    states: list[State] = field(default_factory=list)
    catalogue: Catalogue = field(default_factory=Catalogue)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    withheld: list[WithheldPayload] = field(default_factory=list)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, outcome: str) -> int:
        """Return how many records came to an outcome, whatever their verb."""
        return sum(count for (name, _), count in self.outcomes.items() if name == outcome)


class ChunkQueue:
    """Chunks in the order in which they must go into the table, prepared one after the other."""

    def __init__(self) -> None:
        self._chunks: deque[Chunk] = deque()
        self._prepared: dict[Chunk, Prepared] = {}
        self._preparing: Chunk | None = None

    def __len__(self) -> int:
        return len(self._chunks)

    @property
    def first_prepared(self) -> tuple[Chunk, Prepared] | None:
        """The first chunk, if it is ready to be applied."""
        if not self._chunks or (work := self._prepared.get(self._chunks[0])) is None:
            return None
        return self._chunks[0], work

    def append(self, chunk: Chunk) -> None:
        """Put a chunk at the end."""
        self._chunks.append(chunk)

    def begin_to_prepare(self) -> Chunk | None:
        """Return the next chunk to prepare, unless one is being prepared."""
        if self._preparing is None:
            self._preparing = next((chunk for chunk in self._chunks if chunk not in self._prepared), None)
            return self._preparing
        return None

    def prepared(self, chunk: Chunk, work: Prepared) -> None:
        """Take what a chunk became; forget it if the chunk was dropped meanwhile."""
        self._preparing = None
        if chunk in self._chunks:
            self._prepared[chunk] = work

    def take_first(self, chunk: Chunk) -> bool:
        """Remove a chunk that was applied or refused; False if it was dropped meanwhile."""
        if not self._chunks or self._chunks[0] is not chunk:
            return False
        self._chunks.popleft()
        self._prepared.pop(chunk, None)
        return True

    def put_first(self, chunks: list[Chunk]) -> None:
        """Put chunks at the head, in their order."""
        self._chunks.extendleft(reversed(chunks))

    def moves(self, partition: TopicPartition) -> bool:
        """Whether a chunk moves a partition's position."""
        return any(partition in chunk.spans for chunk in self._chunks)

    def drop(self) -> None:
        """Forget everything; Kafka still has it."""
        self._chunks.clear()
        self._prepared.clear()
