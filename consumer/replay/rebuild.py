"""Replay: the table is rebuilt from the log in a shadow, compared, swapped in, and taken back if it must be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from consumer.errors import ExitCode, WexError
from consumer.kafka_address import Kafka, address
from consumer.replay import refusals
from consumer.replay.building import build
from consumer.replay.catching_up import behind, catch_up, come_near
from consumer.replay.coverage import Coverage, begun_anew, cover, gaps
from consumer.replay.folding import Folded, Folding
from consumer.replay.refusals import Reason
from consumer.replay.wanted import Chosen
from consumer.replay.whole_log import WholeLog
from events.publisher.topics import compacted_topics
from store import differences, replays, shadow_purges
from store.differences import Count, Difference, Scope
from store.errors import UnavailableError
from store.replay_scope import ReplayScope
from store.replays import State, Step
from store.shadow import Shadow

TRIES_MAX = 40  # of a swap whose locks are held by readers, or of a rollback by a redrive
RETRY_SECONDS = 0.5
EVERYTHING = ReplayScope()
LOCKED_OUT = {"55P03", "40P01"}  # lock not available, deadlock; their messages are in the server's language

Result = TypeVar("Result")
Told = Callable[[Folded, int], None]
Reached = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Report:
    """Where a replay stands, and how far it is behind the table."""

    state: State
    behind: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a swap would change.

    Attributes:
        due: executions that are in the table and in the log alike, and go, for a purge covers them.
    """

    counts: Sequence[Count]
    described: Sequence[Difference]
    carried: int
    carried_ids: Sequence[str]
    due: int


@dataclass(frozen=True, slots=True)
class Swapped:
    """What a swap did.

    Attributes:
        folded: records that were folded while no consumer applied.
        stopped_seconds: how long no consumer could apply.
    """

    folded: int
    stopped_seconds: float


class Rebuild:
    """One replay, held by this process alone; an async context manager.

    Args:
        servers: Kafka.
        url: PostgreSQL.
        group: under whose name the shadow keeps its positions and dead letters.
        archive: the folder of an archive, which is read before the log.
        jobs: how many processes fold, where there is much to fold.
        told: called with what was folded, and with how much there is to fold.
        reached: called when a step begins.
    """

    def __init__(
        self,
        servers: Kafka,
        url: str,
        group: str,
        *,
        archive: Path | None = None,
        jobs: int = 1,
        told: Told = lambda _, __: None,
        reached: Reached = lambda _: None,
    ) -> None:
        self._servers = address(servers)
        self._source: WholeLog
        self._archive = archive
        self._shadow = Shadow(url, replays.SCHEMA, group=group)
        self._jobs = jobs
        self._told = told
        self._reached = reached

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[State]:
        """Hold the shadow, and demand that there is a replay."""
        async with self._shadow:
            state = await self._found()
            if state is None:
                raise WexError("there is no replay", "`wex replay start` begins one.", ExitCode.NOT_FOUND)
            yield state

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        """Connect to Kafka."""
        async with WholeLog(self._servers, self._archive) as self._source:
            yield

    # The commands.

    async def start(self, scope: ReplayScope = EVERYTHING) -> Report:
        """Build the shadow, or go on where a start was interrupted, up to where the table stands."""
        async with self._shadow, self._reading():
            state = await self._found()
            if state is None:
                await refusals.check_migrated(self._shadow)
                refusals.check_part(scope, await self._shadow.standings())
                self._reached(Step.CREATE)
                await replays.begin(self._shadow, scope)
            else:
                refusals.check(state)
                refusals.check_scope(state, scope)
            await self._build()
            return await self._report()

    async def status(self) -> Report:
        """Say where the replay stands."""
        async with self._shadow.unheld():
            if await self._found() is None:
                raise WexError("there is no replay", "`wex replay start` begins one.", ExitCode.NOT_FOUND)
            return await self._report()

    async def diff(self, limit: int) -> Preview:
        """Say what a swap would change, with table and shadow seen at one moment."""
        async with self._held() as state, self._reading():
            refusals.check_ready(state)
            folding, _ = await self._folding()
            await catch_up(folding, self._shadow, self._source, await self._shadow.standings())
            async with self._shadow.cut() as ends:
                await catch_up(folding, self._shadow, self._source, ends)
                counts = await differences.find(self._shadow, Scope())
                due = (await differences.covered(self._shadow, Scope())).due
            await refusals.check_decisions(self._shadow, state)
            described = await differences.first(self._shadow, limit)
            carried_ids = await replays.carried(self._shadow, limit)
            return Preview(counts, described, state.carried, carried_ids, due)

    async def swap(self, accepted: Collection[str] = ()) -> Swapped:
        """Put the shadow in the table's place, once nothing stands against it that is not accepted."""
        async with self._held() as state, self._reading():
            refusals.check_ready(state)
            self._reached(Step.CATCH_UP)
            folding, coverage = await self._folding()
            await come_near(folding, self._shadow, self._source)
            async with self._shadow.cut() as ends:
                await catch_up(folding, self._shadow, self._source, ends)
                await refusals.check_losses(self._shadow, state, coverage, accepted)
            self._reached(Step.PURGE)
            await shadow_purges.clear(self._shadow, await shadow_purges.standing(self._shadow), state.scope)
            await come_near(folding, self._shadow, self._source)
            return await _trying(lambda: self._swap_once(folding, state, accepted))

    async def rollback(self, accepted: Collection[str] = ()) -> None:
        """Put the old table back, and let the consumers go on where it stood."""
        async with self._held() as state, self._reading():
            if state.step is not Step.SWAPPED:
                message = "there is no swap to take back"
                raise WexError(message, "`wex replay status` says where the replay stands.", ExitCode.REFUSED)
            await refusals.check_hole(self._shadow, self._source.kafka)
            purged = await shadow_purges.since(self._shadow, state.changed_at)
            await shadow_purges.clear(self._shadow, purged, EVERYTHING)
            await _trying(lambda: self._rollback_once(state, accepted))

    async def abort(self) -> None:
        """Drop a shadow that was not swapped in."""
        async with self._shadow:
            state = await self._found()
            if state is not None and state.step is Step.SWAPPED:
                message = "the replay is swapped in: its schema holds the old table"
                raise WexError(message, "`wex replay rollback` or `wex replay drop`.", ExitCode.REFUSED)
            await refusals.drop(self._shadow)

    async def drop(self) -> None:
        """Drop the old table after a swap."""
        async with self._held() as state:
            if state.step is not Step.SWAPPED:
                raise WexError("nothing is swapped", "`wex replay abort` drops the shadow.", ExitCode.REFUSED)
            await refusals.drop(self._shadow)

    # The steps.

    async def _found(self) -> State | None:
        state = await replays.state(self._shadow)
        if state is not None:
            refusals.check_place(self._shadow, state)
        return state

    async def _state(self) -> State:
        state = await self._found()
        assert state is not None, "it was begun"
        return state

    async def _build(self) -> None:
        state = await self._state()
        folding, coverage = await self._folding()
        await build(self._shadow, self._source, folding, coverage, state, self._reached)
        self._reached(Step.READY)
        await catch_up(folding, self._shadow, self._source, await self._shadow.standings())

    async def _folding(self) -> tuple[Folding, Coverage]:
        """Return what folds into the shadow from where it stands, and what of the log there still is."""
        await refusals.check_schema(self._shadow)
        standings = await self._shadow.standings()
        if not standings:
            message = "the table has no positions: no consumer has applied anything"
            raise WexError(message, "`wex consume` applies what is in the log.", ExitCode.REFUSED)
        given_up = await self._shadow.given_up()
        topics = {partition.topic for partition in standings}
        logs = await self._source.ranges(topics)
        compacted = await compacted_topics(self._servers.servers, topics, client_options=self._servers.client_options)
        coverage = cover(
            standings,
            logs,
            gaps=gaps(given_up),
            anew=begun_anew(given_up),
            compacted=compacted,
            not_archived=self._source.gaps,
        )
        claims = await self._shadow.claim(coverage.logs)
        await refusals.check_claims(self._shadow, claims, coverage.logs, gaps(given_up))
        state = await self._state()
        await refusals.check_decisions(self._shadow, state)
        total = behind(standings, {name: claim.next_offset for name, claim in claims.items()})
        folding = Folding(
            self._source,
            self._shadow,
            claims,
            given_up=given_up,
            wanted=Chosen(frozenset(state.scope.executions)) if state.bulk and state.scope.executions else None,
            jobs=self._jobs,
            told=lambda folded: self._told(folded, total),
        )
        return folding, coverage

    async def _rollback_once(self, state: State, accepted: Collection[str]) -> None:
        async with replays.rolling_back(self._shadow):
            purged = await shadow_purges.since(self._shadow, state.changed_at)
            await shadow_purges.delete(self._shadow, purged, EVERYTHING)
            await refusals.check_schema(self._shadow)
            await refusals.check_redriven(self._shadow)
            await self._lock(accepted)

    async def _lock(self, accepted: Collection[str]) -> None:
        """Lock the tables for the exchange, and look what others have hung on them until then."""
        await replays.lock_tables(self._shadow)
        if Reason.DEPENDENTS not in accepted:
            await refusals.check_dependents(self._shadow)

    async def _swap_once(self, folding: Folding, state: State, accepted: Collection[str]) -> Swapped:
        begun, before = time.monotonic(), folding.folded.records
        with folding.taken_back():
            async with replays.swapping(self._shadow) as ends:
                self._reached(Step.LOCK)
                await refusals.check_schema(self._shadow)
                await catch_up(folding, self._shadow, self._source, ends)
                await refusals.check_decisions(self._shadow, state)
                await shadow_purges.delete(self._shadow, await shadow_purges.standing(self._shadow), state.scope)
                self._reached(Step.EXCHANGE)
                await self._lock(accepted)
        self._reached(Step.SWAPPED)
        return Swapped(folding.folded.records - before, time.monotonic() - begun)

    async def _report(self) -> Report:
        state = await self._state()
        return Report(state, behind(await self._shadow.standings(), state.next_offsets))


async def _trying(once: Callable[[], Awaitable[Result]]) -> Result:
    """Try until nobody holds for long what is to be locked; between two tries the others go first."""
    for tries in range(1, TRIES_MAX + 1):
        try:
            return await once()
        except UnavailableError as error:
            if tries == TRIES_MAX or getattr(error.__cause__, "sqlstate", None) not in LOCKED_OUT:
                raise
            await asyncio.sleep(RETRY_SECONDS)
    raise AssertionError
