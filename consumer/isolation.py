"""Isolation: after a fetch that failed, partition by partition, so that one bad record costs nobody but itself.

A partition that the client reads alone goes on. At one where it fails, or keeps silent though there is more, the slow
path reads instead; what that cannot read either halts the partition, if it is no outage. The same is done for what
stands still though nothing failed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from consumer.core import Core
from consumer.monitoring.log_events import tell
from consumer.record_batch import UnreadableError
from consumer.source import OvertakenError, Source, SourceError
from events.position import TopicPartition


async def isolate(core: Core, source: Source, turn: Callable[[], Awaitable[None]]) -> bool:
    """Read every partition by itself, and return whether one of them went forward.

    Args:
        core: decides what becomes of what was read.
        source: the source whose fetch failed.
        turn: awaited after each partition, until there is room for more.

    Raises:
        SourceStopped: the source was stopped.
    """
    forward = False
    for partition in core.starts:
        before = core.starts.get(partition)
        if before is not None and source.may_have_records(partition, before):
            await _read_alone(core, source, partition)
            after = core.starts.get(partition)
            forward = forward or (after is not None and after > before)
            await turn()
    return forward


async def _read_alone(core: Core, source: Source, partition: TopicPartition) -> None:
    failed = False
    try:
        fetched = await source.fetch((partition,))
    except OvertakenError:
        source.perform(core.fetch_failed())
        return
    except SourceError:
        source.perform(core.fetch_failed())
        failed = True
    else:
        source.perform(core.fetched(*fetched))
        if fetched.records:
            return
    await read_slowly(core, source, partition, certain=failed)


async def read_slowly(core: Core, source: Source, partition: TopicPartition, *, certain: bool) -> None:
    """Read where the client fails, or stands still; the client's position follows.

    Args:
        core: decides what becomes of what was read.
        source: the source that fails.
        partition: where.
        certain: the client's failure is certain, so that what cannot be read here either halts the partition.
    """
    generation, start = core.generation, core.starts.get(partition)
    if start is None:
        return
    try:
        stretch = await source.read_slowly(partition, start)
        topic_ids = await source.topic_ids([partition])
    except SourceError as error:
        tell("slow_read_failed", "%s", error)  # an outage: the next fetch will say what there is to be said
    except UnreadableError as error:
        if certain and generation == core.generation:
            source.perform(core.unreadable(partition, error.kind, str(error)))
        else:
            what = "%s cannot be read from %d on, nor does the client say so: %s"
            tell("slow_read_failed", what, partition, start, error)
    else:
        if generation == core.generation:
            source.perform(core.isolated(partition, stretch, topic_ids))
            faults = [record for record in stretch.records if record.fault is not None]
            tell(
                "read_slowly",
                "read %s slowly from %d on: %d records, of which %d are set aside",
                partition,
                start,
                len(stretch.records),
                len(faults),
            )
