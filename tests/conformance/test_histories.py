"""Random histories, in random batches of two writers, give the rows of the fold in memory and in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from itertools import zip_longest
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import Event, ExecutionRow, fold, row
from events.catalogue import Catalogue
from store.batch import Batch
from tests.conformance.conftest import A, B
from tests.conformance.stores import Kept, KeptInMemory, KeptInPostgres, Writer
from tests.histories_seen import HISTORIES, profile
from tests.strategies import RUNS, several_histories

BATCH_EVENTS_MAX = 6
SHRINKING_SECONDS = 900  # a failure is worth more once Hypothesis has made it small

HOLD_THE_SECOND_ROW = "SELECT FROM workflow_executions ORDER BY id OFFSET 1 LIMIT 1 FOR UPDATE"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
Batches = list[tuple[int, list[Event]]]
in_one_database = settings(
    max_examples=HISTORIES[profile()] // 2,  # for an example holds three histories
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
async def gate(database_url: str) -> AsyncIterator[Connection]:
    """A connection that can hold writers back."""
    opened = await asyncpg.connect(database_url)
    yield opened
    await opened.close()


@st.composite
def batches(draw: st.DrawFn) -> Batches:
    """Histories of a few executions in batches, each of one of two writers; some batches come twice, to either."""
    unread = draw(several_histories(RUNS))
    cut: list[list[Event]] = []
    while unread:
        size = draw(st.integers(1, BATCH_EVENTS_MAX))
        cut.append(unread[:size])
        unread = unread[size:]
    again = draw(st.lists(st.sampled_from(cut), max_size=3))
    return [(draw(st.integers(0, 1)), batch) for batch in cut + again]


async def claimed(kept: Kept) -> list[Writer]:
    """Two writers, each with a partition of its own."""
    await kept.forget()
    writers = [Writer(kept.store, "g", A), Writer(kept.other, "g", B)]
    for writer in writers:
        await writer.claim()
    return writers


async def written(kept: Kept, work: Batches) -> list[tuple[int, int]]:
    """Write the batches one after the other, and return what the store answered."""
    writers = await claimed(kept)
    answers = [await writers[which].write(batch) for which, batch in work]
    return [(answer.executions, answer.rows_changed) for answer in answers]


async def written_at_once(kept: KeptInPostgres, work: Batches, gate: Connection, catalogue: Catalogue) -> None:
    """Write the batches two by two, one of each writer, in transactions that meet at a row which neither passes."""
    writers = await claimed(kept)
    await kept.store.apply(Batch("g", {A: writers[0].move()}, catalogue=catalogue))
    writers[0].offset += 1
    for batches_of_both in zip_longest(*([batch for of, batch in work if of == which] for which in (0, 1))):
        async with asyncio.TaskGroup() as writing, gate.transaction():
            await gate.execute(HOLD_THE_SECOND_ROW)
            tasks = [
                writing.create_task(writer.write(batch))
                for writer, batch in zip(writers, batches_of_both, strict=True)
                if batch
            ]
            # Each holds what it has changed and waits for that row or for the other writer, unless it needs neither.
            while await gate.fetchval(WAITING) < sum(not task.done() for task in tasks):
                pass


def rows_of(history: list[Event]) -> dict[UUID, ExecutionRow]:
    """The row of every execution by the fold."""
    by_run = defaultdict(list)
    for event in history:
        by_run[event.execution_id].append(event)
    return {id_: row(fold(of_one)) for id_, of_one in by_run.items()}


async def keeps(kept: Kept, history: list[Event]) -> None:
    """Compare every column of every row and the catalogue with what Python makes of the history."""
    catalogue = Catalogue.of(history)
    assert await kept.rows() == rows_of(history)
    assert await kept.workflows() == {key: (entry.created_at, entry.name) for key, entry in catalogue.workflows.items()}
    assert await kept.users() == catalogue.users


@pytest.mark.law
@pytest.mark.timeout(SHRINKING_SECONDS)
@in_one_database
@given(work=batches())
async def test_both_stores_keep_what_the_fold_gives(kept_in_database: KeptInPostgres, work: Batches) -> None:
    """Every column of every row, the catalogue and the counts are the same in PostgreSQL, in memory and in the fold."""
    in_memory = KeptInMemory()
    assert await written(kept_in_database, work) == await written(in_memory, work)
    history = [event for _, batch in work for event in batch]
    assert in_memory.store.catalogue == Catalogue.of(history)
    await keeps(in_memory, history)
    await keeps(kept_in_database, history)


@pytest.mark.law
@pytest.mark.timeout(SHRINKING_SECONDS)
@in_one_database
@given(work=batches(), catalogued=st.booleans())
async def test_two_writers_at_once_leave_what_the_fold_gives(
    kept_in_database: KeptInPostgres, gate: Connection, work: Batches, catalogued: bool
) -> None:
    """Two writers at the same rows at once meet no deadlock, and leave every column as the fold gives it."""
    history = [event for _, batch in work for event in batch]
    # Where the catalogue has nothing to learn, the writers do not meet before they reach the executions.
    await written_at_once(kept_in_database, work, gate, Catalogue.of(history if catalogued else []))
    await keeps(kept_in_database, history)
