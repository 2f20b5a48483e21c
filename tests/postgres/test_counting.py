"""Counts: what they count, of how many, and in which groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.position import Position
from store import ExecutionQueryError, ExecutionReader, Filter
from store.conditions import expressions
from store.connect import READER_SETTINGS
from store.counting import BY, Group
from store.statements import statement
from tests.conformance.stores import Writer
from tests.histories_seen import HISTORIES, profile
from tests.lives import event
from tests.postgres.test_walking import Row, filters, insert, rows_at

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

# What each group has in common, in plain words, against which the SQL is held.
VALUES: dict[str, Any] = {
    "status": lambda row: row.status,
    "workflow": lambda row: row.workflow,
    "user": lambda _: "ada",
    "day": lambda row: row.started_at.date().isoformat(),
    "error_type": lambda _: None,
    "label:k": lambda row: row.label,
    "label:none": lambda _: None,
}


@pytest.fixture
async def unchecked(connection: Connection) -> Connection:
    """A connection that writes executions whose workflows nobody has told."""
    await connection.execute("SET session_replication_role = replica")
    return connection


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[ExecutionReader]:
    """The reader under test."""
    async with ExecutionReader.connect(database_url) as connected:
        yield connected


@settings(
    max_examples=HISTORIES[profile()] // 10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    rows_at(st.sampled_from([0, 1, 86_399, 86_400])),
    filters,
    st.lists(st.sampled_from(sorted(VALUES)), max_size=3, unique=True),
    st.integers(1, 13),
)
async def test_a_count_is_that_of_plain_words(
    reader: ExecutionReader, unchecked: Connection, rows: list[Row], wanted: Filter, by: list[str], bound: int
) -> None:
    """An exact count has every group; a bounded one says whether it is exact, and is of no more than there are."""
    wanted = replace(wanted, namespace=uuid4().hex)
    await insert(unchecked, wanted.namespace, rows)
    meant = [row for row in rows if row.matches(wanted)]
    expected = Counter(tuple(VALUES[each](row) for each in by) for row in meant)
    whole = await reader.count(wanted, by, bound=None)
    assert (whole.total, whole.exact, whole.other_groups) == (len(meant), True, 0)
    assert {group.values: group.executions for group in whole.groups} == (expected if by else {})
    some = await reader.count(wanted, by, bound=bound)
    found = Counter({group.values: group.executions for group in some.groups})
    assert found <= expected if by else not found
    assert some.total == (sum(found.values()) if by else some.total) <= min(len(meant), bound)
    assert not some.exact or replace(some, freshness=whole.freshness) == whole
    assert some.exact or (some.newest == bound < len(rows))


async def test_a_bounded_count_is_of_the_newest(reader: ExecutionReader, writer: Writer) -> None:
    """Beyond its bound a count is of the newest rows alone and says so; exactly as many as the bound are all."""
    await writer.write([event("started", n, run=f"r{n}", workflow_id=f"w{n}") for n in range(5)])
    some = await reader.count(by="workflow", bound=3)
    assert (some.total, some.exact, some.newest) == (3, False, 3)
    assert [group.values for group in some.groups] == [("w2",), ("w3",), ("w4",)]
    whole = await reader.count(by="workflow", bound=5)
    assert (whole.total, whole.exact, len(whole.groups)) == (5, True, 5)
    rare = await reader.count(Filter(attempt=7), bound=3)  # in no index: of the newest three there is none
    assert (rare.total, rare.newest) == (0, 3)
    assert (await reader.count(Filter(workflow_id="w0"), bound=1)).exact  # in one


async def test_groups_are_what_they_are_called(reader: ExecutionReader, writer: Writer) -> None:
    """A day is that of the start in UTC, the latest first; what is not known is None, what is deleted is not there."""
    day = 86_400
    await writer.write(
        [
            event("started", day - 1, run="a", user_id="ann", labels={"team": "x", "": "y"}),
            event("failed", day + 1, run="a", error={"message": "no", "type": "E"}),
            event("started", day, run="b"),
            event("started", day, run="c"),
            event("started", day, run="gone"),
            event("deleted", day, run="gone"),
        ]
    )

    async def groups(*by: str, **more: Any) -> list[tuple[Any, ...]]:
        return [(*group.values, group.executions) for group in (await reader.count(by=by, **more)).groups]

    assert await groups("day") == [("2026-01-02", 2), ("2026-01-01", 1)]
    assert await groups("day", "status") == [("2026-01-02", "running", 2), ("2026-01-01", "failed", 1)]
    assert await groups("error_type", "user", "label:team") == [(None, None, None, 2), ("E", "ann", "x", 1)]
    assert await groups("workflow", bound=None) == [("invoice", 3)]
    assert (await reader.count(Filter(include_deleted=True))).total == 4
    assert (await reader.count(Filter(started_since=timedelta(days=1)), ["status"])).groups == ()


async def test_the_smaller_groups_are_counted_together(reader: ExecutionReader, writer: Writer) -> None:
    """Beyond the limit on groups the largest are named, and how many others there are."""
    await writer.write([event("started", n, run=f"r{n}", workflow_id=f"w{n // 2}") for n in range(5)])
    for bound in (100, None):
        count = await reader.count(by="workflow", bound=bound, limit=2)
        assert count.groups == (Group(("w0",), 2), Group(("w1",), 2))
        assert (count.total, count.other_groups) == (5, 1)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"by": "input"}, "cannot count by 'input'; by has some of status, workflow, user, day, error_type and label:NAME"),
    ({"by": ["label:"]}, "cannot count by 'label:'"),
    ({"by": [None]}, "cannot count by None"),
    ({"by": ["label:\x00"]}, "by must not contain NUL"),
    ({"by": ["status", "status"]}, "by has at most 3, each of them once, not status, status"),
    ({"by": ["status", "workflow", "user", "day"]}, "by has at most 3, each of them once"),
    ({"bound": 0}, "bound must be a whole number from 1 to 1000000, not 0"),
    ({"limit": 501}, "limit must be a whole number from 1 to 500, not 501"),
    ({"timeout": float("nan")}, "timeout must be a number of seconds, 0 or more, not nan"),
    ({"at_least": Position("executions", 0, 1), "timeout": 0}, "executions/0@1 was not applied within 0 s"),
]


async def test_a_count_refuses_what_it_cannot_do(reader: ExecutionReader, writer: Writer) -> None:
    """What is not usable is named; a count waits for one's own write as other reads do."""
    await writer.write([event("started")])
    found = await reader.count(at_least=Position("executions", 0, 0))
    assert found.freshness.covers(Position("executions", 0, 0))
    for asked, reason in REFUSED:
        with pytest.raises(ExecutionQueryError, match=f"Failed to count executions: {reason}"):
            await reader.count(**asked)


async def test_a_count_that_takes_too_long_says_what_to_do(
    database_url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count that a reader's time is not enough for ends with what else to ask."""
    monkeypatch.setitem(READER_SETTINGS, "statement_timeout", "50ms")
    remedy = "it took longer than 50ms; narrow it by time, workflow or user"
    async with ExecutionReader.connect(database_url) as hasty, connection.transaction():
        await connection.execute("LOCK TABLE workflow_executions")
        with pytest.raises(ExecutionQueryError, match=f"{remedy}, or count with a bound$"):
            await hasty.count(bound=None)
        with pytest.raises(ExecutionQueryError, match=f"{remedy}$"):
            await hasty.count()


async def test_all_expressions_together_are_a_statement(connection: Connection) -> None:
    """The list of expressions is sound SQL as it stands, and has what a reader can ask for."""
    assert len((await connection.prepare(statement("group_executions"))).get_parameters()) == 1
    assert set(expressions()) == {*BY, "label"}


async def test_a_moment_has_one_count(reader: ExecutionReader, writer: Writer) -> None:
    """Within a snapshot a count does not see what is written meanwhile."""
    await writer.write([event("started", run="a")])
    async with reader.snapshot() as moment:
        await writer.write([event("started", 1, run="b")])
        assert (await moment.count()).total == 1
    assert (await reader.count()).total == 2
