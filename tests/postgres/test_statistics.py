"""Statistics equal what the rows say, whatever was applied, reopened, deleted, restored, purged or merged before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from events import Event
from events.position import TopicPartition
from store import ExecutionReader, PostgresStore
from store.merging import PART, StatisticsMerger
from tests.conformance.stores import Writer
from tests.consuming import until
from tests.histories_seen import profile
from tests.lives import event
from tests.recount import assert_all_equal, assert_right, rows_of

SECONDS = (-1.0, 0.0, 1.0, 299.999999, 300.0, 3_599.0, 3_600.0, 86_399.0, 86_400.0, 3 * 86_400.0 + 7)
DURATIONS = (0, 1, 2, 34, 35, 36, 1_000, 1_019, 1_021, 99_999, 10**9, 2**53 - 1)
WORKFLOWS = ("invoice", "order", "")
ENDS = ("completed", "failed", "cancelled", "terminated", "timed_out", "continued_as_new")
# As a migration does, and a replay.
AFRESH = "DELETE FROM statistics_deltas; DELETE FROM execution_statistics; SELECT count_all_executions()"
_names = count()

some_events = st.lists(
    st.builds(
        lambda verb, seconds, run, more, attempt: event(verb, seconds, run=f"run-{run}", attempt=attempt, **more),
        st.sampled_from(("scheduled", "started", "heartbeat", "retrying", "deleted", "restored", *ENDS)),
        st.sampled_from(SECONDS),
        st.integers(1, 9),
        st.sampled_from(({}, {"workflow_id": "order"}, {"next_run_id": "run-99"})),
        st.integers(1, 2),
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[ExecutionReader]:
    """The reader under test."""
    async with ExecutionReader.connect(database_url) as connected:
        yield connected


class StatisticsMachine(RuleBasedStateMachine):
    """Executions come, go and change in any order, and deltas are merged now and then."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.merger = StatisticsMerger(self.url)
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.connection = await asyncpg.connect(self.url)
        await self.connection.execute("DELETE FROM workflow_executions")
        self.reader = ExecutionReader.connect(self.url)
        await self.reader.__aenter__()
        self.store = PostgresStore(self.url)
        self.writer = Writer(self.store, "g", TopicPartition(f"topic-{next(_names)}", 0))
        await self.writer.claim()

    @rule(history=some_events)
    def apply(self, history: list[Event]) -> None:
        self.runner.run(self.writer.write(history))

    @rule(run=st.integers(1, 9), duration_ms=st.sampled_from(DURATIONS), end=st.sampled_from(ENDS))
    def end(self, run: int, duration_ms: int, end: str) -> None:
        self.runner.run(self.writer.write([event(end, 400, run=f"run-{run}", attempt=3, duration_ms=duration_ms)]))

    @rule(run=st.integers(1, 9))
    def reopen(self, run: int) -> None:
        self.runner.run(self.writer.write([event("started", 90_000, run=f"run-{run}", attempt=4)]))

    @rule(status=st.sampled_from(("running", *ENDS)))
    def purge(self, status: str) -> None:
        self.runner.run(self.connection.execute("DELETE FROM workflow_executions WHERE status = $1", status))

    @rule(most=st.sampled_from((1, 3, PART)))
    def merge(self, most: int) -> None:
        assert self.runner.run(self.merger.merge(most)) is not None

    @rule()
    def count_afresh(self) -> None:
        self.runner.run(self.connection.execute(AFRESH))

    @invariant()
    def statistics_are_those_of_the_rows(self) -> None:
        self.runner.run(self._compare())

    async def _compare(self) -> None:
        await assert_all_equal(self.reader, await rows_of(self.connection))

    def teardown(self) -> None:
        self.runner.run(self._end())
        self.runner.close()

    async def _end(self) -> None:
        self.merger.close()
        await self.reader.__aexit__(None, None, None)
        await self.store.close()
        await self.connection.close()


def test_statistics_are_those_of_the_rows(database_url: str) -> None:
    """After any mix of applies, reopenings, deletes, restores, purges and merges, all statistics are as recomputed."""
    machine = type("Machine", (StatisticsMachine,), {"url": database_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=200 if profile() == "deep" else 12,
            stateful_step_count=10,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # making a failure smaller takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )


async def test_what_goes_before_it_came_is_not_lost(database_url: str) -> None:
    """The order of transactions is not that of their commits: a part may end between what took away and what gave."""
    store, merger = PostgresStore(database_url), StatisticsMerger(database_url)
    older, connection = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    writer = Writer(store, "g", TopicPartition("crossing", 0))
    try:
        await writer.claim()
        await writer.write([event("completed", 400, run="run-1", duration_ms=1_010)])
        await until_merged(merger, connection)
        async with older.transaction():
            await older.execute("SELECT pg_current_xact_id()")
            await writer.write([event("completed", 400, run="run-2", duration_ms=1_015)])  # of the same bin
            await older.execute("DELETE FROM workflow_executions WHERE temporal_run_id = 'run-2'")

        async def merged_one() -> bool:
            await merger.merge(1)
            await assert_right(database_url)
            return not await connection.fetchval("SELECT count(*) FROM statistics_deltas")

        await until(merged_one, "no delta is left")
        assert await connection.fetch("SELECT * FROM statistics_missing") == []
    finally:
        merger.close()
        await store.close()
        await older.close()
        await connection.close()


async def until_merged(merger: StatisticsMerger, connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Merge until nothing is left; a transaction of another test may hold it up for a while."""

    async def merged() -> bool:
        await merger.merge()
        return not await connection.fetchval("SELECT count(*) FROM statistics_deltas")

    await until(merged, "no delta is left")
