"""Random histories, in random batches of two writers, give the rows of the fold in memory and in PostgreSQL."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import Event, fold, row
from events.catalogue import Catalogue
from tests.conformance.conftest import A, B
from tests.conformance.stores import Kept, KeptInMemory, KeptInPostgres, Writer
from tests.strategies import events

Batches = list[tuple[int, list[Event]]]


@st.composite
def batches(draw: st.DrawFn) -> Batches:
    """Events of a few executions in batches, each of one of two writers; some batches come twice."""
    writing = st.tuples(st.integers(0, 1), st.lists(events(), min_size=1, max_size=5))
    once = draw(st.lists(writing, min_size=1, max_size=5))
    again = draw(st.lists(st.sampled_from(once), max_size=2))
    return draw(st.permutations(once + again))


async def written(kept: Kept, work: Batches) -> list[tuple[int, int]]:
    """Write the batches, each under its writer's claim, and return what the store answered."""
    writers = [Writer(kept.store, "g", A), Writer(kept.other, "g", B)]
    for writer in writers:
        await writer.claim()
    answers = [await writers[which].write(batch) for which, batch in work]
    return [(answer.executions, answer.rows_changed) for answer in answers]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(work=batches())
async def test_both_stores_keep_what_the_fold_gives(kept_in_database: KeptInPostgres, work: Batches) -> None:
    """Every column of every row, the catalogue and the counts are the same in PostgreSQL, in memory and in the fold."""
    in_memory = KeptInMemory()
    await kept_in_database.forget()
    assert await written(kept_in_database, work) == await written(in_memory, work)
    history = [event for _, batch in work for event in batch]
    by_run = {event.execution_id: [e for e in history if e.data.run == event.data.run] for event in history}
    expected = {id_: row(fold(of_one)) for id_, of_one in by_run.items()}
    assert await in_memory.rows() == expected
    assert await kept_in_database.rows() == expected
    assert in_memory.store.catalogue == Catalogue.of(history)
    assert await kept_in_database.workflows() == await in_memory.workflows()
    assert await kept_in_database.users() == await in_memory.users()
