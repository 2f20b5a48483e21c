"""The merge loop: keeps what is not merged into the statistics small, beside the applying of events."""

from __future__ import annotations

import asyncio
import time

from consumer.monitoring.log_events import tell
from consumer.monitoring.metrics import Metrics
from store.errors import StoreError
from store.merging import PART, StatisticsMerger

MERGE_SECONDS = 5.0  # readers add up what is left between two merges; each merge costs more the fewer deltas it takes


class MergeLoop:
    """Merges again and again. All consumers try it, and one does it; where it fails, readers only have more to add up.

    Args:
        merger: merges over a connection of its own.
        metrics: where it is counted how long that takes.
    """

    def __init__(self, merger: StatisticsMerger, metrics: Metrics) -> None:
        self._merger = merger
        self._metrics = metrics

    async def run_for_ever(self) -> None:
        """Merge, rest, and merge again."""
        try:
            while True:
                if await self._merge() != PART:
                    await asyncio.sleep(MERGE_SECONDS)
        finally:
            self._merger.close()

    async def _merge(self) -> int | None:
        began = time.perf_counter()
        try:
            deltas = await self._merger.merge()
        except StoreError as error:
            tell("statistics_not_merged", "%s", error)
            return None
        if deltas:
            self._metrics.observe("wex_statistics_merge_seconds", time.perf_counter() - began)
        return deltas
