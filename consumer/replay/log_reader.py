"""Reading parts of logs once more, from an offset up to another: every record of them, or an error.

What the client cannot read is read the slow way, as the consumer does it, and a hole is asked for once more. A part
ends where it was told to end: what is written meanwhile is not read.
"""

from __future__ import annotations

import random
from asyncio import sleep
from collections.abc import AsyncIterator, Mapping

from consumer.chunk import Span
from consumer.monitoring.log_events import tell
from consumer.partition import Partition
from consumer.record import Record, Stretch
from consumer.record_batch import UnreadableError
from consumer.replay.log_source import LogSource
from consumer.retry import backoff_seconds
from consumer.source import OutOfRangeError, SourceError, TooMuchInflatedError
from consumer.work import Pause, Seek
from events.position import TopicPartition

FAILURES_MAX = 12  # in a row, about a minute: a broker that restarts is back by then

Stretches = dict[TopicPartition, Stretch]


class LogLostError(Exception):
    """The log does not hold, or not any more, what it was to be read for."""


async def read(source: LogSource, spans: Mapping[TopicPartition, Span]) -> AsyncIterator[Stretches]:
    """Yield the stretches of some partitions in the order of their offsets, until every span is read.

    Raises:
        LogLostError: records were deleted meanwhile, or are damaged.
        SourceError: no broker answers any more.
    """
    reading = {name: Partition(name, read_offset=span.from_offset) for name, span in spans.items() if _length(span)}
    if not reading:
        return  # the client would not stop cleanly after an assignment to nothing
    source.assign({name: partition.read_offset for name, partition in reading.items()})
    failures = 0
    while reading:
        try:
            stretches = await _next(source, reading)
        except OutOfRangeError as error:
            msg = f"{error}: records were deleted while they were read, or the log ends too early"
            raise LogLostError(msg) from error
        except SourceError as error:
            tell("slow_read_failed", "%s; reading again", error)
            stretches = {}
        failures = 0 if stretches else failures + 1
        if failures > FAILURES_MAX:
            msg = f"nothing can be read any more of {', '.join(map(str, reading))}"
            raise SourceError(msg)
        if failures:
            await sleep(backoff_seconds(failures, random.random()))  # noqa: S311 - jitter
        kept = {name: _up_to(stretch, spans[name].next_offset) for name, stretch in stretches.items()}
        for name, stretch in kept.items():
            reading[name].read_to(stretch.next_offset)
            if stretch.next_offset == spans[name].next_offset:
                del reading[name]
                source.perform([Pause((name,))])
        if kept:
            yield kept


def _length(span: Span) -> int:
    return max(0, span.next_offset - span.from_offset)


def _up_to(stretch: Stretch, end: int) -> Stretch:
    records = stretch.records
    if records and records[-1].offset >= end:
        records = [record for record in records if record.offset < end]
    return Stretch(stretch.from_offset, min(stretch.next_offset, end), records)


async def _next(source: LogSource, reading: Mapping[TopicPartition, Partition]) -> Stretches:
    """Return what comes next, of one partition at least; nothing only if the broker has nothing to give."""
    try:
        fetched = (await source.fetch()).records
    except OutOfRangeError:
        raise
    except TooMuchInflatedError:
        source.perform([Seek(name, partition.read_offset) for name, partition in reading.items()])
        return await _next(source, reading)
    except SourceError as error:
        tell("fetch_failed", "a fetch failed, reading slowly: %s", error)
        return await _slowly(source, reading)
    stretches = {
        name: Stretch(reading[name].read_offset, records[-1].next_offset, records)
        for name, records in fetched.items()
        if name in reading and _whole(source, reading[name], records)
    }
    if fetched:
        return stretches or await _next(source, reading)
    return await _without_records(source, reading) or await _slowly(source, reading)


def _whole(source: LogSource, partition: Partition, records: list[Record]) -> bool:
    """Whether records follow on what was read; a hole is asked for once more, for the client may have skipped it."""
    if partition.doubts_hole(records):
        source.perform([Seek(partition.name, partition.read_offset)])
        return False
    return True


async def _without_records(source: LogSource, reading: Mapping[TopicPartition, Partition]) -> Stretches:
    """Return the stretches that the client has passed over, since they hold no records."""
    positions = await source.positions(reading)
    return {
        name: Stretch(reading[name].read_offset, position, ())
        for name, position in positions.items()
        if position > reading[name].read_offset
    }


async def _slowly(source: LogSource, reading: Mapping[TopicPartition, Partition]) -> Stretches:
    stretches = {}
    for name, partition in reading.items():
        try:
            stretch = await source.read_slowly(name, partition.read_offset)
        except UnreadableError as error:
            msg = f"{name} cannot be read {error}"
            raise LogLostError(msg) from error
        if stretch.next_offset > partition.read_offset:
            records = [record for record in stretch.records if record.next_offset > partition.read_offset]
            stretches[name] = Stretch(partition.read_offset, stretch.next_offset, records)
    source.perform(
        [Seek(name, stretches[name].next_offset if name in stretches else p.read_offset) for name, p in reading.items()]
    )
    return stretches
