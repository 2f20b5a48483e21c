"""Folding a part of the log into a shadow: reading, decoding and writing overlap, and chunks are large but bounded.

A chunk is folded in memory before it is written, so that a row is written once for many events. What differs from a
consumer: chunks are larger, records with an open dead letter are left out, offsets that an operator gave up are passed
over, and nobody else takes partitions away.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from consumer.chunk import Chunk, Prepared, Refusal, Span
from consumer.incident_kinds import KINDS
from consumer.record import Record, Stretch
from consumer.replay.decoding import Decoders, Window
from consumer.replay.log_reader import Stretches, read
from consumer.replay.log_source import LogSource
from events.position import TopicPartition
from store.batch import Batch, Claim
from store.errors import RefusedError
from store.shadow import GivenUp, Shadow

CHUNK_RECORDS = 10_000  # held at a time: one that is written, one that is read, and one for each job
CHUNK_BYTES = 16 * 1_048_576  # of values
ALWAYS = datetime.min.replace(tzinfo=UTC)
MUCH_RECORDS = 50_000  # below, starting processes takes longer than it saves


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


class Folding:
    """Folds the log into a shadow, from where the shadow stands.

    Args:
        claims: where the shadow stands in every partition.
        given_up: what operators gave up: the table never saw it.
        wanted: which executions are folded; the others are only decoded.
        jobs: how many chunks are decoded at a time, if there is much to decode.
        told: called after every chunk that was written.
    """

    def __init__(
        self,
        source: LogSource,
        shadow: Shadow,
        claims: Mapping[TopicPartition, Claim],
        *,
        given_up: Iterable[GivenUp] = (),
        wanted: Window | None = None,
        jobs: int = 1,
        told: Callable[[Folded], None] = lambda _: None,
    ) -> None:
        self.folded = Folded()
        self.next_offsets: dict[TopicPartition, int] = {}
        self.stand_at(claims)
        self._source = source
        self._shadow = shadow
        self._gaps = gaps(given_up)
        self._wanted = wanted
        self._decoders = Decoders(jobs, wanted)
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

    def close(self) -> None:
        """End the processes that decode."""
        self._decoders.close()

    async def fold_to(self, ends: Mapping[TopicPartition, int]) -> None:
        """Fold everything before these offsets.

        Raises:
            LogLostError: the log does not hold what it was to be read for.
            SourceError: no broker answers any more.
            StoreError: the shadow cannot be written.
        """
        decoders = self._decoders if self._much(ends) else Decoders(1, self._wanted)
        ahead: deque[asyncio.Task[tuple[Chunk, Prepared]]] = deque()
        writing: deque[asyncio.Task[None]] = deque()
        try:
            async for chunk in self._chunks(ends):
                kept = await self._without_dead_letters(chunk)
                ahead.append(asyncio.create_task(_prepared(decoders, kept)))
                if len(ahead) >= decoders.jobs:
                    await self._begin_to_write(writing, *await ahead.popleft())
            while ahead:
                await self._begin_to_write(writing, *await ahead.popleft())
            while writing:
                await writing.popleft()
        finally:
            await _cancel([*ahead, *writing])

    def _much(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether other processes are worth their start."""
        return sum(end - self.next_offsets[name] for name, end in ends.items()) > MUCH_RECORDS

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
            async for stretches in read(self._source, round_):
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
                await self._write(part, await self._decoders.prepare_here(part))
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


async def _prepared(decoders: Decoders, chunk: Chunk) -> tuple[Chunk, Prepared]:
    return chunk, await decoders.prepare(chunk)


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """End tasks that nobody waits for any more."""
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)


def gaps(decisions: Iterable[GivenUp]) -> dict[TopicPartition, list[Span]]:
    """Return the offsets that were given up and never read after all: going back reads them again."""
    found: dict[TopicPartition, list[Span]] = {}
    for partition, accepted_from, accepted_to, *_ in decisions:
        spans = found.setdefault(partition, [])
        if accepted_to > accepted_from:
            spans.append(Span(accepted_from, accepted_to))
        else:
            cut = (Span(span.from_offset, min(span.next_offset, accepted_to)) for span in spans)
            found[partition] = [span for span in cut if span.from_offset < span.next_offset]
    return {partition: sorted(spans) for partition, spans in found.items() if spans}


def begun_anew(decisions: Iterable[GivenUp], *, since: datetime = ALWAYS) -> set[TopicPartition]:
    """Return the partitions whose log may be another one than that from which the table has its first rows."""
    anew = {kind for kind, meant in KINDS.items() if meant.another_log}
    return {
        each.partition
        for each in decisions
        if each.decided_at >= since and (each.accepted_to <= each.accepted_from or each.kind in anew)
    }


def readable(span: Span, gaps_: Iterable[Span]) -> list[Span]:
    """Return the parts of a span that lie outside of its gaps."""
    parts = []
    start = span.from_offset
    for gap in gaps_:
        if start < min(gap.from_offset, span.next_offset):
            parts.append(Span(start, min(gap.from_offset, span.next_offset)))
        start = max(start, gap.next_offset)
    if start < span.next_offset:
        parts.append(Span(start, span.next_offset))
    return parts


def _digest(record: Record) -> bytes:
    return hashlib.sha256(record.value or b"").digest()
