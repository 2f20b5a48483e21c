"""Folding a part of the log into a shadow: reading, decoding and writing overlap, and chunks are large but bounded.

A chunk is folded in memory before it is written, so that a row is written once for many events. What differs from a
consumer: chunks are larger, records with an open dead letter are left out, offsets that an operator gave up are passed
over, and nobody else takes partitions away. Where there is much to fold, processes share the partitions among them,
each with its own connections: they meet nowhere but in the shadow, as the consumers of a group meet in the table.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from consumer.archive.layout import Archived
from consumer.batch import prepare
from consumer.chunk import Chunk, Prepared, Refusal, Span
from consumer.kafka_address import Kafka
from consumer.record import Record, Stretch
from consumer.replay.coverage import gaps, readable
from consumer.replay.log_reader import Stretches
from consumer.replay.processes import in_processes
from consumer.replay.wanted import Chosen, Window
from consumer.replay.whole_log import WholeLog
from events.position import TopicPartition
from store.batch import Batch, Claim
from store.errors import RefusedError
from store.shadow import GivenUp, Place, Shadow

CHUNK_RECORDS = 10_000  # three chunks are held at a time: one that is written, one that is prepared, one that is read
CHUNK_BYTES = 16 * 1_048_576  # of values
MUCH_RECORDS = 50_000  # below, starting processes takes longer than it saves
PROGRESS_SECONDS = 0.5


@dataclass(slots=True)
class Folded:
    """What was folded so far.

    Attributes:
        records: offsets that were moved over.
        left_out: records with an open dead letter.
        refused: records that are wrong in themselves, and of which the table has no dead letter.
    """

    records: int = 0
    events: int = 0
    left_out: int = 0
    refused: int = 0

    def add(self, other: Folded) -> None:
        """Count what another has folded, too."""
        self.records += other.records
        self.events += other.events
        self.left_out += other.left_out
        self.refused += other.refused


@dataclass(frozen=True, slots=True)
class Part:
    """Some partitions of what is to be folded, for a process of its own."""

    servers: Kafka
    archived: Mapping[TopicPartition, Archived]
    place: Place
    claims: Mapping[TopicPartition, Claim]
    ends: Mapping[TopicPartition, int]
    given_up: Sequence[GivenUp]
    wanted: Window | Chosen | None


async def fold_part(part: Part) -> Folded:
    """Fold some partitions, with connections of our own."""
    async with WholeLog(part.servers, archived=part.archived) as source, Shadow.at(part.place).unheld() as shadow:
        folding = Folding(source, shadow, part.claims, given_up=part.given_up, wanted=part.wanted)
        await folding.fold_to(part.ends)
        return folding.folded


class Folding:
    """Folds the log into a shadow, from where the shadow stands.

    Args:
        claims: where the shadow stands in every partition.
        given_up: what operators gave up: the table never saw it.
        wanted: which executions are folded; the others are only decoded.
        jobs: how many processes fold, if there is much to fold; no more than there are partitions.
        told: called after every chunk that was written.
    """

    def __init__(
        self,
        source: WholeLog,
        shadow: Shadow,
        claims: Mapping[TopicPartition, Claim],
        *,
        given_up: Iterable[GivenUp] = (),
        wanted: Window | Chosen | None = None,
        jobs: int = 1,
        told: Callable[[Folded], None] = lambda _: None,
    ) -> None:
        self.folded = Folded()
        self.next_offsets: dict[TopicPartition, int] = {}
        self.stand_at(claims)
        self._source = source
        self._shadow = shadow
        self._given_up = tuple(given_up)
        self._gaps = gaps(self._given_up)
        self._wanted = wanted
        self._jobs = jobs
        self._told = told

    def stand_at(self, claims: Mapping[TopicPartition, Claim]) -> None:
        """Believe the shadow about where it stands."""
        self.next_offsets |= {partition: claim.next_offset for partition, claim in claims.items()}

    @contextmanager
    def taken_back(self) -> Iterator[None]:
        """Stand where the shadow stood before, if the transaction in which it is moved comes to nothing."""
        stood, folded = dict(self.next_offsets), replace(self.folded)
        try:
            yield
        except BaseException:
            # A partition that was new in it is forgotten: the shadow has no row of it any more, nor anything folded.
            self.next_offsets, self.folded = stood, folded
            raise

    def want_all(self) -> None:
        """Fold every execution from here on."""
        self._wanted = None

    async def fold_to(self, ends: Mapping[TopicPartition, int]) -> None:
        """Fold everything before these offsets.

        Raises:
            LogLostError: the log does not hold what it was to be read for.
            SourceError: no broker answers any more.
            StoreError: the shadow cannot be written.
        """
        left = {name: end - self.next_offsets[name] for name, end in ends.items() if end > self.next_offsets[name]}
        jobs = min(self._jobs, len(left))
        # Within the transaction of a moment nobody else could write.
        if jobs > 1 and sum(left.values()) > MUCH_RECORDS and not self._shadow.in_transaction:
            await self._fold_in_processes(ends, dealt(left, jobs))
        else:
            await self._fold_here(ends)

    async def _fold_in_processes(
        self, ends: Mapping[TopicPartition, int], shares: Sequence[Sequence[TopicPartition]]
    ) -> None:
        claims = await self._shadow.read_claims()
        parts = [
            Part(
                self._source.kafka.servers,
                self._source.archived(share),
                self._shadow.place,
                {name: claims[name] for name in share},
                {name: ends[name] for name in share},
                self._given_up,
                self._wanted,
            )
            for share in shares
        ]
        working = asyncio.create_task(in_processes(fold_part, parts))
        try:
            while not working.done():
                await asyncio.wait([working], timeout=PROGRESS_SECONDS)
                await self._tell_progress()
            for folded in working.result():
                self.folded.add(folded)
            self.next_offsets |= ends
            self._told(self.folded)
        finally:
            await _cancel([working])

    async def _tell_progress(self) -> None:
        claims = await self._shadow.read_claims()
        moved = sum(claims[name].next_offset - offset for name, offset in self.next_offsets.items())
        self._told(replace(self.folded, records=self.folded.records + moved))

    async def _fold_here(self, ends: Mapping[TopicPartition, int]) -> None:
        preparing: deque[asyncio.Task[tuple[Chunk, Prepared]]] = deque()
        writing: deque[asyncio.Task[None]] = deque()
        try:
            async for chunk in self._chunks(ends):
                kept = await self._without_dead_letters(chunk)
                if preparing:
                    await self._begin_to_write(writing, *await preparing.popleft())
                preparing.append(asyncio.create_task(self._prepared(kept)))
            while preparing:
                await self._begin_to_write(writing, *await preparing.popleft())
            while writing:
                await writing.popleft()
        finally:
            await _cancel([*preparing, *writing])

    async def _begin_to_write(self, writing: deque[asyncio.Task[None]], chunk: Chunk, prepared: Prepared) -> None:
        """Wait until the chunk before is written, and let this one be written meanwhile."""
        if writing:
            await writing.popleft()
        writing.append(asyncio.create_task(self._write(chunk, prepared)))

    async def _chunks(self, ends: Mapping[TopicPartition, int]) -> AsyncIterator[Chunk]:
        gathered = _Gathering()
        async for stretches in self._stretches(ends):
            for name, stretch in stretches.items():
                gathered.add(name, Span(self.next_offsets[name], stretch.next_offset), stretch.records)
                self.next_offsets[name] = stretch.next_offset
            if gathered.full:
                yield gathered.chunk()
                gathered = _Gathering()
        if gathered.spans:
            yield gathered.chunk()

    async def _stretches(self, ends: Mapping[TopicPartition, int]) -> AsyncIterator[Stretches]:
        """Read what lies between the gaps, and pass over the gaps."""
        parts = {
            name: readable(Span(self.next_offsets[name], end), self._gaps.get(name, ())) for name, end in ends.items()
        }
        while any(parts.values()):
            round_ = {name: spans.pop(0) for name, spans in parts.items() if spans}
            async for stretches in self._source.read(round_):
                yield stretches
        yield {
            name: Stretch(self.next_offsets[name], end, ())
            for name, end in ends.items()
            if self.next_offsets[name] < end
        }

    async def _without_dead_letters(self, chunk: Chunk) -> Chunk:
        known = await self._shadow.left_out(chunk.spans)
        if not known:
            return chunk
        offsets = {(partition, offset) for partition, offset, _ in known}
        kept = {
            name: tuple(
                r for r in records if (name, r.offset) not in offsets or (name, r.offset, _digest(r)) not in known
            )
            for name, records in chunk.records.items()
        }
        left = Chunk(0, kept, chunk.spans)
        self.folded.left_out += len(chunk) - len(left)
        return left

    async def _prepared(self, chunk: Chunk) -> tuple[Chunk, Prepared]:
        """Decode and fold a chunk in slices, so that a statement under way is sent and answered meanwhile."""
        slices = prepare(chunk, self._wanted)
        while True:
            try:
                next(slices)
            except StopIteration as end:
                prepared: Prepared = end.value
                return chunk, prepared
            await asyncio.sleep(0)

    async def _write(self, chunk: Chunk, prepared: Prepared) -> None:
        moves = chunk.moves(dict.fromkeys(chunk.spans, self._shadow.token))
        batch = Batch(
            self._shadow.group,
            moves,
            prepared.states,
            prepared.catalogue,
            prepared.dead_letters,
            prepared.withheld,
        )
        try:
            await self._shadow.apply(batch)
        except RefusedError as error:
            if chunk.refusal is not None:
                raise
            refusal = Refusal(f"refused_{error.sqlstate or 'by_client'}", error.column, str(error))
            for part in chunk.halves() or [chunk.set_aside(refusal)]:
                await self._write(*await self._prepared(part))
            return
        self._count(chunk, prepared)

    def _count(self, chunk: Chunk, prepared: Prepared) -> None:
        self.folded.records += sum(span.next_offset - span.from_offset for span in chunk.spans.values())
        self.folded.events += prepared.count("applied") + prepared.count("withheld")
        self.folded.refused += len(prepared.dead_letters)
        self._told(self.folded)


class _Gathering:
    """Stretches on their way into one chunk."""

    def __init__(self) -> None:
        self.spans: dict[TopicPartition, Span] = {}
        self._records: dict[TopicPartition, list[Record]] = {}
        self._room = [CHUNK_RECORDS, CHUNK_BYTES]

    def add(self, name: TopicPartition, span: Span, records: Iterable[Record]) -> None:
        self.spans[name] = Span(self.spans.get(name, span).from_offset, span.next_offset)
        held = self._records.setdefault(name, [])
        for record in records:
            held.append(record)
            self._room[0] -= 1
            self._room[1] -= record.size

    @property
    def full(self) -> bool:
        return min(self._room) <= 0

    def chunk(self) -> Chunk:
        return Chunk(0, {name: tuple(records) for name, records in self._records.items()}, self.spans)


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """End tasks that nobody waits for any more."""
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)


def dealt(left: Mapping[TopicPartition, int], jobs: int) -> list[list[TopicPartition]]:
    """Deal partitions to so many processes, by what is left of each: the fullest first, to who has the least."""
    shares: list[list[TopicPartition]] = [[] for _ in range(jobs)]
    loads = [0] * jobs
    for name in sorted(left, key=lambda name: (-left[name], name)):
        least = loads.index(min(loads))
        shares[least].append(name)
        loads[least] += left[name]
    return shares


def _digest(record: Record) -> bytes:
    return hashlib.sha256(record.value or b"").digest()
