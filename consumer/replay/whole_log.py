"""The whole log: what an archive holds of it, then what Kafka holds, each offset once.

Where there is no archive it is the log alone. Where there is one it must be of the very log that is there, and the log
must begin no later than the archive ends: everything else is refused before anything is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from consumer.archive.layout import Archived, ArchiveError, check_follows, split
from consumer.chunk import Span
from consumer.kafka_address import Kafka
from consumer.record_batch import UnreadableError
from consumer.replay.log_reader import Stretches, read
from consumer.replay.log_source import LogSource
from events.position import TopicPartition
from store.batch import LogRange

NOTHING: Mapping[TopicPartition, Archived] = {}


class WholeLog:
    """The logs of some partitions, with what is archived of them; an async context manager.

    Args:
        servers: Kafka.
        archive: the folder of an archive.
        archived: what is known of it already, where the ranges are not asked for.

    Raises:
        ArchiveError: at any time, the archive is damaged, or not one of this log.
        SourceError: at any time, no broker answers.
    """

    def __init__(
        self,
        servers: Kafka,
        archive: Path | None = None,
        *,
        archived: Mapping[TopicPartition, Archived] = NOTHING,
    ) -> None:
        self.kafka = LogSource(servers)
        self._folder = archive
        self._archived = dict(archived)
        self._in_kafka: set[TopicPartition] = set()

    async def __aenter__(self) -> Self:
        await self.kafka.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kafka.stop()

    @property
    def gaps(self) -> dict[TopicPartition, list[Span]]:
        """What is accepted to be missing in the archive."""
        return {name: archived.gaps for name, archived in self._archived.items()}

    def archived(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Archived]:
        """Return what is archived of some partitions, of those whose ranges were asked for."""
        return {name: self._archived[name] for name in partitions if name in self._archived}

    async def ranges(self, topics: Iterable[str]) -> dict[TopicPartition, LogRange]:
        """Return where the whole log begins and ends, of every partition that is in Kafka or in the archive."""
        wanted = set(topics)
        archived: dict[TopicPartition, Archived] = {}
        if self._folder is not None:
            from consumer.archive.folder import read_archive  # and pyarrow with it

            # Before Kafka is asked: while a run archives beside this one, the archive may not seem to be ahead.
            archived = await asyncio.to_thread(read_archive, self._folder, wanted)
        logs = await self.kafka.ranges(wanted)
        self._in_kafka |= logs.keys()
        for name, each in archived.items():
            log = logs.get(name)
            if log is None:
                logs[name] = LogRange(*each.span, each.topic_id)
                continue
            await check_continues(self.kafka, each, log)
            logs[name] = LogRange(min(log.start, each.span.from_offset), log.end, log.topic_id or each.topic_id)
        self._archived |= archived
        return logs

    async def offsets_at(self, partitions: Iterable[TopicPartition], time: datetime) -> dict[TopicPartition, int]:
        """Return offsets before which every record is older than a time, for partitions that have one that is not."""
        partitions = set(partitions)
        found = {name: each.offset_at(round(time.timestamp() * 1000)) for name, each in self._archived.items()}
        early = {name: offset for name, offset in found.items() if offset is not None and name in partitions}
        return await self.kafka.offsets_at(self._in_kafka & partitions - early.keys(), time) | early

    async def read(self, spans: Mapping[TopicPartition, Span]) -> AsyncIterator[Stretches]:
        """Yield the stretches of some partitions in the order of their offsets, until every span is read.

        Raises:
            LogLostError: records were deleted meanwhile, or are damaged.
        """
        archived = {name: each.span for name, each in self._archived.items()}
        parts = {name: split(span, archived.get(name)) for name, span in spans.items()}
        async for stretches in read(self.kafka, {name: before for name, (before, _, _) in parts.items()}):
            yield stretches
        for name, (_, within, _) in parts.items():
            async for stretches in self._read_archive(name, within):
                yield stretches
        async for stretches in read(self.kafka, {name: after for name, (_, _, after) in parts.items()}):
            yield stretches

    async def _read_archive(self, name: TopicPartition, span: Span) -> AsyncIterator[Stretches]:
        if span.from_offset == span.next_offset:
            return
        from consumer.archive.folder import read_stretches

        stretches = read_stretches(self._archived[name], span)
        while (stretch := await asyncio.to_thread(next, stretches, None)) is not None:
            yield {name: stretch}


async def check_continues(kafka: LogSource, archived: Archived, log: LogRange) -> None:
    """Demand that a log is the one that was archived, and goes on where the archive ends.

    Raises:
        ArchiveError: it is another log, or there is a gap between the two.
    """
    check_follows(archived, log.start, log.end, log.topic_id)
    name, anchor = archived.partition, archived.anchor
    if anchor is None or anchor.offset < log.start:
        return
    try:
        stretch = await kafka.read_slowly(name, anchor.offset)
    except UnreadableError as error:
        message = f"the last record that was archived cannot be compared: {name} cannot be read {error}"
        raise ArchiveError(message, "Mend the log; `wex incidents list` says what a consumer found wrong.") from error
    if any(record.offset == anchor.offset and record.anchor not in (anchor, None) for record in stretch.records):
        message = f"the record at {name}@{anchor.offset} is not the one that was archived: it is another log"
        raise ArchiveError(message, "Name a folder that holds this log.")
