"""The stall loop: asks Kafka about partitions that stand still, and has the fetch loop read them slowly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from consumer.core import Core
from consumer.fetch_loop import FetchLoop
from consumer.monitoring.log_events import tell
from consumer.source import Source, SourceError
from consumer.stall import StallWatch
from events.position import TopicPartition

LOOK_SECONDS = 0.5
TIMES_UNTIL_READ = 2  # the first time the client may have had no chance: the broker was away until now
TIMES_UNTIL_CERTAIN = 3  # what cannot be read slowly either may be a passing trouble of the broker once


class StallLoop:
    """Looks at what stands still, beside the loop that fetches: no question of its own keeps a partition waiting.

    Args:
        core: says where each partition stands.
        source: the source that there is now.
        fetch_loop: reads slowly, between two fetches.
    """

    def __init__(self, core: Core, source: Callable[[], Source], fetch_loop: FetchLoop) -> None:
        self._core = core
        self._source = source
        self._fetch_loop = fetch_loop
        self._watch = StallWatch()
        self._seen: dict[TopicPartition, tuple[int, int]] = {}  # where it stood, and how often there was more

    async def run_for_ever(self) -> None:
        """Look twice a second."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for partition in self._watch.standing(self._core.starts, loop.time(), self._fetch_loop.fetches):
                await self._look_at(partition)

    async def _look_at(self, partition: TopicPartition) -> None:
        start = self._core.starts.get(partition)
        try:
            log = (await self._source().logs([partition])).get(partition)
        except SourceError:
            log = None  # an outage: whoever fetches will say what there is to be said
        if start is None or log is None or log.end <= start or self._core.starts.get(partition) != start:
            self._seen.pop(partition, None)
            return
        stood_at, times = self._seen.get(partition, (start, 0))
        times = times + 1 if stood_at == start else 1
        self._seen[partition] = (start, times)
        if times >= TIMES_UNTIL_READ:
            tell("stalled", "nothing comes of %s from %d on, though it goes to %d", partition, start, log.end)
            self._fetch_loop.read_slowly_next(partition, certain=times >= TIMES_UNTIL_CERTAIN)
