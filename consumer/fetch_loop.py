"""The fetch loop: asks the source for records whenever the core has room, and finds out whose fault a failure is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from consumer.core import Core
from consumer.isolation import isolate, revive
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
from consumer.stall import StallWatch
from consumer.waiting import wait
from consumer.work import SourceCommand


class FetchLoop:
    """One fetch after the other, none of which is ever cancelled: it ends by itself, or when its source stops.

    Args:
        core: decides what becomes of what was fetched.
        source: the source that there is now; joining the group again makes another.
        observer: is told what was fetched, and of failures.
        changed: set when something happened that may give the core work.
        stopping: set when nothing new is to be begun, so that no failure is waited out any more.
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
        self._stalls = StallWatch()
        self._ended = False

    async def run(self) -> None:
        """Fetch until it is to end."""
        failures = 0
        while not self._ended:
            await self._wait_for_room()
            try:
                await self._fetch()
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

    async def _wait_for_room(self) -> None:
        if not self._room.is_set():
            self._stalls.forget()
        await self._room.wait()

    async def _fetch(self) -> None:
        source = self._source()
        fetched = await source.fetch()
        if source is not self._source():
            return
        await (self._accept(source, fetched) if fetched.records else self._move_over_markers(source))
        await self._look_for_stalls(source, idle=not fetched.records)

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

    async def _look_for_stalls(self, source: Source, *, idle: bool) -> None:
        """Read slowly what stands still, and ask for a new client if this one keeps silent about everything."""
        now = asyncio.get_running_loop().time()
        if not (standing := self._stalls.standing(self._core.starts, now)):
            return
        if await revive(self._core, source, standing, self._next_turn) and idle:
            tell("client_stalled", "the Kafka client brings nothing although there is more; making a new one")
            self._core.stalled()
            self._changed.set()

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
