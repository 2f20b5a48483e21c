"""What becomes of each hostile record, alone and among good ones, in every store."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from itertools import chain

import pytest
import pytest_asyncio

from tests.hostile.batches import (
    PARTITION,
    Table,
    TableInMemory,
    apply,
    chunk_of,
    expected_dead_letters,
    expected_withheld,
    prepared,
    scattered,
    table_in_postgres,
    without_detail,
)
from tests.hostile.cases import CASES, ELSEWHERE, Case, Outcome, Sent

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["memory", "postgres"])
async def filled(request: pytest.FixtureRequest, shared_database_url: str) -> AsyncIterator[Table]:
    """A table that remembers its good rows, once in memory and once in PostgreSQL."""
    if request.param == "memory":
        yield TableInMemory()
        return
    async with table_in_postgres(shared_database_url) as table:
        yield table


@pytest_asyncio.fixture(loop_scope="module")
async def table(filled: Table) -> AsyncIterator[Table]:
    """The same table, empty."""
    await filled.forget()
    yield filled


async def outcome(cases: Sequence[Case], table: Table, sent: Sequence[Sent]) -> None:
    """Apply records with cases among them, and compare everything that the cases leave with what they must."""
    chunk = chunk_of(sent)
    work = prepared(chunk)
    await apply(table.store, chunk, work)

    skipped = Counter(case.reason for case in cases if case.outcome is Outcome.SKIP)
    assert {reason: work.count(reason) for reason in ("tombstone", "unknown_verb")} == {
        "tombstone": 0,
        "unknown_verb": 0,
    } | skipped
    found = await table.others()
    assert set(found) == {case.run.id for case in cases if case.has_row}
    shown = {str(case): {name: getattr(found[case.run.id], name) for name in case.shows} for case in cases}
    assert shown == {str(case): case.shows for case in cases}
    letters = [without_detail(letter) for letter in await table.dead_letters()]
    assert letters == expected_dead_letters(cases, PARTITION, chunk.records[PARTITION])
    assert await table.withheld() == expected_withheld(cases, PARTITION, chunk.records[PARTITION])


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_alone(case: Case, table: Table) -> None:
    """A hostile record that comes alone is applied, withheld, set aside or skipped as its case says."""
    await outcome([case], table, case.sent)


@pytest.mark.parametrize("number", sorted({case.number for case in CASES}))
async def test_among_good_ones(number: int, table: Table) -> None:
    """Hostile records among 500 good ones meet the same end, and the good rows are those of a run without them."""
    cases = [case for case in CASES if case.number == number]
    await outcome(cases, table, scattered(list(chain.from_iterable(case.sent for case in cases)), seed=number))
    assert await table.changed() == []


async def test_every_case_is_looked_at() -> None:
    """Each of the 88 tricks is in the table or has a reason to be looked at elsewhere, and no two share a run."""
    assert {case.number for case in CASES} | set(ELSEWHERE) == set(range(1, 89))
    assert {case.number for case in CASES} & set(ELSEWHERE) == set()
    assert len({str(case) for case in CASES}) == len(CASES)
    rows = [case.run.id for case in CASES if case.has_row]
    assert len(set(rows)) == len(rows)
