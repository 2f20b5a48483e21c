"""The fetch loop: asks the source for records whenever the core has room, and finds out whose fault a failure is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from consumer.core import Core
from consumer.isolation import isolate, read_slowly
from consumer.monitoring.log_events import tell
from consumer.monitoring.observer import Observer
from consumer.retry import backoff_seconds
from consumer.source import (
    Fetched,
    OutOfRangeError,
    OvertakenError,
    Source,
    SourceError,
    SourceStopped,
    TooMuchInflatedError,
)
from consumer.waiting import wait
from consumer.work import SourceCommand
from events.position import TopicPartition


class FetchLoop:
    """One fetch after the other, none of which is ever cancelled: it ends by itself, or when its source stops.

    Args:
        core: decides what becomes of what was fetched.
        source: the source that there is now; joining the group again makes another.
        observer: is told what was fetched, and of failures.
        changed: set when something happened that may give the core work.
        stopping: set when nothing new is to be begun, so that no failure is waited out any more.

    Attributes:
        fetches: how many have ended without a failure.
    """

    def __init__(
        self,
        core: Core,
        source: Callable[[], Source],
        observer: Observer,
        changed: asyncio.Event,
        stopping: asyncio.Event,
    ) -> None:
        self._core = core
        self._source = source
        self._observer = observer
        self._changed = changed
        self._stopping = stopping
        self._room = asyncio.Event()  # the core wants records, or the end has come
        self._standing: dict[TopicPartition, bool] = {}  # to be read slowly, for certain or not
        self._ended = False
        self.fetches = 0

    async def run(self) -> None:
        """Fetch until it is to end."""
        failures = 0
        while not self._ended:
            await self._room.wait()
            try:
                await (self._read_slowly(*self._standing.popitem()) if self._standing else self._fetch())
                failures = 0
            except SourceStopped:
                await asyncio.sleep(0.05)  # the end, or a new source is on its way
            except SourceError as error:
                failures = 0 if await self._recover(error) else failures + 1
                self._changed.set()
                await wait(self._stopping, backoff_seconds(failures, random.random()))  # noqa: S311 - jitter

    def look_for_room(self) -> None:
        """Go on if the core wants records, and wait if it does not."""
        if self._core.wants_records or self._ended:
            self._room.set()
        else:
            self._room.clear()

    def end(self) -> None:
        """End after the fetch that is under way."""
        self._ended = True
        self._room.set()

    def read_slowly_next(self, partition: TopicPartition, *, certain: bool) -> None:
        """Have a partition that stands still read slowly before the next fetch.

        Args:
            partition: of which the client brings nothing.
            certain: halt it if it cannot be read slowly either.
        """
        self._standing[partition] = certain

    async def _fetch(self) -> None:
        source = self._source()
        fetched = await source.fetch()
        if source is not self._source():
            return
        self.fetches += 1
        await (self._accept(source, fetched) if fetched.records else self._move_over_markers(source))

    async def _accept(self, source: Source, fetched: Fetched) -> None:
        self._observer.fetched(fetched.records)
        source.perform(self._core.fetched(*fetched))
        self._changed.set()
        self.look_for_room()

    async def _move_over_markers(self, source: Source) -> None:
        seeks, starts = source.seeks, self._core.starts
        positions = await source.positions(starts)
        ahead = {name: position for name, position in positions.items() if position > starts[name]}
        topic_ids = await source.topic_ids(ahead)
        if ahead and seeks == source.seeks:
            source.perform(self._core.drained(ahead, topic_ids))
            self._changed.set()

    async def _read_slowly(self, partition: TopicPartition, certain: bool) -> None:
        """Read what the client does not bring; if that succeeds, the client is at fault and exchanged."""
        before = self._core.starts.get(partition)
        await read_slowly(self._core, self._source(), partition, certain=certain)
        after = self._core.starts.get(partition)
        self._changed.set()
        self.look_for_room()
        if before is not None and after is not None and after > before:
            tell("client_stalled", "the Kafka client does not bring what %s has; making a new one", partition)
            self._core.stalled()

    async def _recover(self, error: SourceError) -> bool:
        """Seek back and find out whose fault it is; return whether it goes on at once."""
        self._observer.fetch_failed(error)
        source = self._source()
        source.perform(await self._after_failed_fetch(source, error))
        if isinstance(error, TooMuchInflatedError | OvertakenError):
            return True
        if isinstance(error, OutOfRangeError):
            return False
        try:
            return await isolate(self._core, source, self._next_turn)
        except SourceStopped:
            return False

    async def _after_failed_fetch(self, source: Source, error: SourceError) -> list[SourceCommand]:
        if isinstance(error, OutOfRangeError):
            try:
                return self._core.out_of_range(await source.logs(error.partitions))
            except SourceError as other:
                tell("log_ends_unknown", "%s", other)
        return self._core.fetch_failed()

    async def _next_turn(self) -> None:
        self._changed.set()
        self.look_for_room()
        await self._room.wait()
