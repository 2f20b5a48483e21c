"""The service: performs what the core decides, with Kafka on one side and the store on the other."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import assert_never
from uuid import UUID, uuid4

from consumer.batch import prepare
from consumer.caught_up import wait_until_caught_up
from consumer.chunk import Chunk, Prepared, Refusal
from consumer.core import Core
from consumer.dead_letter_limit import DeadLetterLimit
from consumer.fetch_loop import FetchLoop
from consumer.merge_loop import MergeLoop
from consumer.monitoring.log_events import tell
from consumer.monitoring.metrics import Metrics
from consumer.monitoring.observer import Observer
from consumer.partition import LogRanges
from consumer.retry import backoff_seconds
from consumer.source import Source, SourceError
from consumer.stall_loop import StallLoop
from consumer.waiting import beating, wait
from consumer.work import (
    ApplyChunk,
    BackOff,
    ClaimPartitions,
    Finish,
    HaltPartition,
    PrepareChunk,
    Rejoin,
    Release,
    Resync,
    SourceCommand,
    Work,
)
from events.position import TopicPartition
from store.batch import Batch, Store
from store.errors import FencedError, MisconfiguredError, RefusedError, UnavailableError
from store.merging import StatisticsMerger

TICK_SECONDS = 1.0  # the loop looks around at least this often, which is also the watchdog's beat
HOUSEKEEPING_SECONDS = 5.0  # how often an idle consumer looks at its claims, and Kafka is told how far the table is
FENCED_PATIENCE_SECONDS = 3.0  # a rebalance under way explains a fence; after this time it does not

Assigned = Callable[[list[TopicPartition]], list[SourceCommand]]
Revoked = Callable[[], None]
MakeSource = Callable[[Assigned, Revoked], Source]


class Service:
    """One consumer: a member of the group, one writer.

    Args:
        store: where to apply; its `reset` and `close` are called by the service.
        make_source: makes a source from the callbacks for assigned and revoked partitions; called again to rejoin.
        consumer_group: the group whose positions are kept.
        owner: who we are, for people who look at the positions.
        until_caught_up: stop once everything is applied that is in the assigned logs at the first look.
        beat: called whenever the loop turns.
        metrics: where everything is counted.
        limit: how many dead letters are too many.
        merger: keeps the statistics, if this consumer is to.
    """

    def __init__(
        self,
        store: Store,
        make_source: MakeSource,
        *,
        consumer_group: str,
        owner: str,
        until_caught_up: bool = False,
        beat: Callable[[], None] = lambda: None,
        metrics: Metrics | None = None,
        limit: DeadLetterLimit | None = None,
        merger: StatisticsMerger | None = None,
    ) -> None:
        self.core = Core()
        self.metrics = metrics or Metrics(time.time)
        self._observer = Observer(self.core, self.metrics)
        self._limit = limit or DeadLetterLimit()
        self._merge_loop = merger and MergeLoop(merger, self.metrics)
        self._store = store
        self._make_source = make_source
        self._group = consumer_group
        self._owner = owner
        self._until_caught_up = until_caught_up
        self._beat = beat
        self._source = make_source(self._on_assigned, self._on_revoked)
        self._changed = asyncio.Event()  # something happened that may give the core work
        self._stopping = asyncio.Event()
        self._fetch_loop = FetchLoop(self.core, lambda: self._source, self._observer, self._changed, self._stopping)
        self._finish: Finish | None = None
        self._failure: SourceError | None = None

    async def run(self) -> str:
        """Consume until stopped; return why, if not because it was asked to.

        Raises:
            SourceError: Kafka does not answer at the start, or when the group must be joined again.
        """
        try:
            if not await beating(self._beat, self._source.start(), self._stopping):
                return ""
            self._observer.joined(self._group, self._owner)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._fetch_loop.run())
                stalls = StallLoop(self.core, lambda: self._source, self._fetch_loop)
                for_ever = (
                    self._keep_house_for_ever(),
                    self._observer.watch_logs(self._logs),
                    stalls.run_for_ever(),
                )
                background = [tasks.create_task(each) for each in for_ever]
                if self._merge_loop:
                    background.append(tasks.create_task(self._merge_loop.run_for_ever()))
                if self._until_caught_up:
                    background.append(tasks.create_task(self._stop_when_caught_up()))
                await self._decide_until_finished(tasks)
                for task in background:
                    task.cancel()
                self.metrics.tell()
                self._fetch_loop.end()
                await self._source.stop()  # which ends an outstanding fetch; it is never cancelled
        finally:
            await self._source.stop()
            await self._store.close()
        if self._failure is not None:
            raise self._failure
        assert self._finish is not None, "the loop ends with it"
        return self._finish.problem

    def stop(self) -> None:
        """Accept nothing more, apply what was accepted, release the claims, leave the group."""
        self.core.stop()
        self._stopping.set()
        self._changed.set()

    # The loops.

    async def _decide_until_finished(self, tasks: asyncio.TaskGroup) -> None:
        while self._finish is None:
            self._beat()
            self._observer.look()
            for work in self.core.decide():
                tasks.create_task(self._do(work))
            self._fetch_loop.look_for_room()
            await wait(self._changed, TICK_SECONDS)
            self._changed.clear()

    async def _keep_house_for_ever(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            self.metrics.tell()
            self.core.audit()
            self._changed.set()
            if offsets := self.core.next_offsets:
                await self._source.mirror(offsets)

    async def _stop_when_caught_up(self) -> None:
        problem = await wait_until_caught_up(self.core, self._logs, self._stopping)
        self.core.stop(problem)
        self.stop()

    async def _logs(self, partitions: Iterable[TopicPartition]) -> LogRanges:
        return await self._source.logs(partitions)  # of the source that there is now; rejoining makes another

    # Kafka's callbacks.

    def _on_assigned(self, partitions: list[TopicPartition]) -> list[SourceCommand]:
        self._observer.assigned(partitions)
        commands = self.core.assigned(partitions)
        self._changed.set()
        return commands

    def _on_revoked(self) -> None:
        self.core.revoked()
        self._changed.set()

    # Work.

    async def _do(self, work: Work) -> None:
        try:
            await self._perform(work)
        except FencedError as error:
            self._observer.fenced(error)
            self.core.fenced()
        except (UnavailableError, MisconfiguredError, SourceError) as error:
            self._observer.failed(error)
            self.core.database_failed()
        finally:
            self._changed.set()

    async def _perform(self, work: Work) -> None:  # noqa: C901 - one case per kind of work, and nothing else
        match work:
            case PrepareChunk(chunk):
                began = time.perf_counter()
                self.core.prepared(chunk, await _prepare(chunk))
                self.metrics.observe("wex_prepare_seconds", time.perf_counter() - began)
            case ApplyChunk():
                await self._apply(work)
            case ClaimPartitions():
                await self._claim(work)
            case Resync(generation, reconnect):
                if reconnect:
                    await self._store.reset()
                claims = await self._store.read_claims(self._group)
                self._source.perform(self.core.resynced(generation, claims))
            case HaltPartition():
                await self._halt(work)
            case BackOff(failures):
                await wait(self._stopping, backoff_seconds(failures, random.random()))  # noqa: S311 - jitter
                self.core.waited()
            case Rejoin():
                await self._rejoin(work)
            case Release(tokens):
                await self._release(tokens)
            case Finish():
                self._finish = work
            case _:
                assert_never(work)

    async def _apply(self, work: ApplyChunk) -> None:
        prepared = work.work
        if problem := self._limit.exceeded_by(work.chunk, prepared):
            tell("dead_letter_limit", "%s; ending", problem)
            self.core.stop(problem)
            self.core.fenced()  # drops what was accepted: whoever starts next reads it again
            return
        batch = Batch(
            self._group, dict(work.moves), prepared.states, prepared.catalogue, prepared.dead_letters, prepared.withheld
        )
        began = time.perf_counter()
        try:
            applied = await self._store.apply(batch)
        except RefusedError as error:
            self._observer.refused(work.chunk, error)
            self.core.refused(work.chunk, Refusal(f"refused_{error.sqlstate or 'by_client'}", error.column, str(error)))
            return
        self.core.applied(work.chunk)
        self._limit.applied(work.chunk, prepared)
        self._observer.applied(work.chunk, prepared, applied, time.perf_counter() - began)

    async def _claim(self, work: ClaimPartitions) -> None:
        logs = await self._source.logs(work.partitions)
        token = uuid4()
        claims = await self._store.claim(self._group, logs, token, self._owner)
        self._observer.begun_late(claims)
        logs = await self._source.logs(work.partitions)  # again: the last owner may have read on meanwhile
        claims = {
            name: claim for name, claim in claims.items() if name in logs
        }  # without those that no broker leads now
        self._source.perform(self.core.claimed(work.generation, token, claims, logs))
        if work.generation == self.core.generation:
            self._observer.claimed(claims)

    async def _halt(self, work: HaltPartition) -> None:
        self._observer.halting(work.incident)
        await self._store.halt(self._group, work.token, work.next_offset, work.incident)
        self.core.halted_in_table(work)

    async def _rejoin(self, work: Rejoin) -> None:
        if work.fenced:  # by one that does the same, perhaps: the jitter keeps the two from meeting again and again
            await wait(self._stopping, FENCED_PATIENCE_SECONDS * (1 + random.random()))  # noqa: S311 - jitter
        if work.generation == self.core.generation and not self._stopping.is_set():
            self._observer.rejoining(fenced=work.fenced)
            await self._source.stop()
            self.core.revoked()
            self._source = self._make_source(self._on_assigned, self._on_revoked)
            try:
                await beating(self._beat, self._source.start(), self._stopping)
            except SourceError as error:
                self._failure = error  # crash-only: whoever starts us again joins the group
                self.core.stop(str(error))
        self.core.rejoined()

    async def _release(self, tokens: tuple[UUID, ...]) -> None:
        for token in tokens:
            await self._store.release(self._group, token)
        self.core.released()


async def _prepare(chunk: Chunk) -> Prepared:
    """Prepare a chunk in slices, so that a statement under way is sent and answered meanwhile."""
    slices = prepare(chunk)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            prepared: Prepared = end.value
            return prepared
        await asyncio.sleep(0)
