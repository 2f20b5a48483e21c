"""Catching up: waiting until everything that is in the logs now is in the table."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from consumer.core import Core
from consumer.monitoring.log_events import tell
from consumer.partition import LogRanges
from consumer.source import SourceError
from events.position import TopicPartition

POLL_SECONDS = 0.05
RETRY_SECONDS = 1.0

Logs = Callable[[Iterable[TopicPartition]], Awaitable[LogRanges]]


async def wait_until_caught_up(core: Core, logs: Logs, stopping: asyncio.Event) -> str:
    """Return once the logs' ends, read after the last assignment, are applied; or what stands in the way.

    Args:
        core: the consumer; a partition that is halted will never catch up.
        logs: reads starts and ends of partitions' logs.
        stopping: ends the wait.
    """
    ends: dict[TopicPartition, int] = {}
    generation = -1
    while not stopping.is_set():
        await asyncio.sleep(POLL_SECONDS)
        offsets = core.next_offsets
        if not core.ready:
            continue
        if core.halted:
            return "halted: " + ", ".join(map(str, core.halted))
        if offsets and generation != core.generation:
            generation = core.generation
            ends = await _ends(offsets, logs)
        elif offsets and all(offsets.get(partition, 0) >= end for partition, end in ends.items()):
            tell("caught_up", "caught up")
            return ""
    return ""


async def _ends(partitions: Iterable[TopicPartition], logs: Logs) -> dict[TopicPartition, int]:
    wanted = set(partitions)
    while True:
        try:
            ends = {partition: log.end for partition, log in (await logs(wanted)).items()}
            if ends.keys() == wanted:  # some may have no leader now
                return ends
        except SourceError as error:
            tell("log_ends_unknown", "%s; trying again", error)
        await asyncio.sleep(RETRY_SECONDS)
