"""Walking a list by cursors: every row once, in order, whatever the filter, and while others come and go."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import ExecutionQueryError, ExecutionReader, Filter
from store.cursors import Cursor
from store.listing import Listing
from store.page import Page
from tests.conformance.stores import Writer
from tests.histories_seen import HISTORIES, profile
from tests.lives import at, event

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
Walk = tuple[list[Page], list[Page]]

PAGES_MAX = 50  # more than any walk here has

INSERT = """
INSERT INTO workflow_executions (
    id, namespace, temporal_workflow_id, temporal_run_id, workflow_id, created_by, status, register_started_at,
    completed_at, created_at, updated_at, labels, error, started_order
) SELECT id, $8, 't', id::text, workflow, 'ada', status, start, ended, start, start, labels::jsonb, error::jsonb,
    '\\x00000001'
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[])
    AS r (id, workflow, status, start, ended, labels, error)
"""


@dataclass(frozen=True)
class Row:
    """An execution as far as lists can tell."""

    id: UUID
    workflow: str
    status: str
    started_at: datetime
    completed_at: datetime | None
    label: str
    error: str | None

    def matches(self, wanted: Filter) -> bool:
        """Whether a filter means it: the plain words, against which the SQL is held."""
        error = self.error or ""
        return all(
            (
                wanted.workflow_id in (None, self.workflow),
                not wanted.statuses or self.status in wanted.statuses,
                wanted.open in (None, self.completed_at is None),
                not isinstance(wanted.started_since, datetime) or self.started_at >= wanted.started_since,
                not isinstance(wanted.started_until, datetime) or self.started_at < wanted.started_until,
                not wanted.labels or wanted.labels == {"k": self.label},
                wanted.error_text is None or (self.error is not None and wanted.error_text.lower() in error.lower()),
                wanted.min_duration_ms is None or self.duration_ms >= wanted.min_duration_ms,
            )
        )

    @property
    def duration_ms(self) -> int:
        """How long it took; less than nothing while it runs."""
        return (self.completed_at - self.started_at) // timedelta(milliseconds=1) if self.completed_at else -1


def rows_at(seconds: st.SearchStrategy[int]) -> st.SearchStrategy[list[Row]]:
    """Some rows that began at few instants, so that ties are the rule."""

    def row(number: int, workflow: str, status: str, second: int, took: int, error: str) -> Row:
        ended = None if status == "running" else at(second + took)
        id_ = UUID(bytes=hashlib.md5(number.to_bytes(2)).digest())
        return Row(id_, workflow, status, at(second), ended, workflow, error if status == "failed" else None)

    statuses = st.sampled_from(["running", "completed", "failed"])
    took, error = st.integers(0, 2), st.sampled_from(["Card declined", "50% of it", "a_b"])
    made = st.builds(row, st.integers(0, 999), st.sampled_from("ab"), statuses, seconds, took, error)
    return st.lists(made, max_size=12, unique_by=lambda each: each.id)


filters = st.builds(
    Filter,
    workflow_id=st.sampled_from([None, None, "a", "b"]),
    status=st.sampled_from([None, None, "failed", ["running"], ["failed", "completed"], ["failed", "running"]]),
    open=st.sampled_from([None, None, None, True, False]),
    started_since=st.sampled_from([None, None, at(0), at(1)]),
    started_until=st.sampled_from([None, None, at(2), at(3)]),
    labels=st.sampled_from([{}, {}, {"k": "a"}]),
    error_text=st.sampled_from([None, None, None, "CARD", "%", "_"]),
    min_duration_ms=st.sampled_from([None, None, 0, 1000]),
)


async def insert(connection: Connection, namespace: str, rows: list[Row]) -> None:
    """Write rows into a namespace, in which their ids are their own."""
    columns = [
        [own_id(namespace, r) for r in rows],
        [r.workflow for r in rows],
        [r.status for r in rows],
        [r.started_at for r in rows],
        [r.completed_at for r in rows],
        [f'{{"k": "{r.label}"}}' for r in rows],
        [f'{{"message": "{r.error}"}}' if r.error else None for r in rows],
    ]
    await connection.execute(INSERT, *columns, namespace)


def own_id(namespace: str, row: Row) -> UUID:
    """The id of a row in a namespace: which of two is the greater, chance decides."""
    return UUID(bytes=hashlib.md5(namespace.encode() + row.id.bytes).digest())


async def walk(reader: ExecutionReader, wanted: Filter, then: Callable[[], Awaitable[None]], **options: Any) -> Walk:
    """Walk to the end, with something done after the first page, and back again to the beginning."""
    page = await reader.find(wanted, **options)
    await then()
    pages = [page]
    while page.next_cursor is not None:
        page = await reader.find(wanted, cursor=page.next_cursor, **options)
        pages.append(page)
        assert len(pages) < PAGES_MAX, "the walk does not get on"
    assert all(len(each) == options["limit"] for each in pages[:-1])
    back = [pages[-1]]
    while back[-1].previous_cursor is not None:
        back.append(await reader.find(wanted, cursor=back[-1].previous_cursor, **options))
        assert len(back) < PAGES_MAX, "the way back does not get on"
    return pages, list(reversed(back))


def ids(pages: list[Page]) -> list[UUID]:
    """The ids on some pages."""
    return [execution.id for page in pages for execution in page]


@settings(
    max_examples=HISTORIES[profile()] // 10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    rows_at(st.integers(0, 3)),
    rows_at(st.integers(-2, 5)),
    filters,
    st.integers(1, 5),
    st.sampled_from(["started_at", "completed_at"]),
    st.booleans(),
)
async def test_walking_gives_every_row_once(
    reader: ExecutionReader,
    unchecked: Connection,
    rows: list[Row],
    late: list[Row],
    wanted: Filter,
    limit: int,
    order_by: str,
    down: bool,
) -> None:
    """Walking by cursors gives the filtered, ordered set once, also while rows come, and so does the way back."""
    namespace = uuid4().hex
    wanted = replace(wanted, namespace=namespace)

    def expected(some: list[Row]) -> list[UUID]:
        meant = [r for r in some if r.matches(wanted) and getattr(r, order_by) is not None]
        keys = [(getattr(r, order_by), own_id(namespace, r)) for r in meant]
        return [id_ for _, id_ in sorted(keys, reverse=down)]

    late = [r for r in late if r.id not in {each.id for each in rows}]
    await insert(unchecked, namespace, rows)
    options = {"limit": limit, "order_by": order_by, "order_direction": "desc" if down else "asc"}
    pages, back = await walk(reader, wanted, lambda: insert(unchecked, namespace, late), **options)
    there, everything = ids(pages), expected(rows + late)
    assert [id_ for id_ in there if id_ not in {own_id(namespace, r) for r in late}] == expected(rows)
    assert there == [id_ for id_ in everything if id_ in set(there)]  # in order, and nothing twice
    assert ids(back) == (everything if len(pages) > 1 else there)  # the way back sees what came meanwhile


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


async def test_a_page_says_whether_there_is_more(reader: ExecutionReader, writer: Writer) -> None:
    """A page is a list; the last page has no next cursor, and the first no previous one."""
    await writer.write([event("started", n, run=f"run-{n}", user_id="ada") for n in range(4)])
    first = await reader.list("invoice", 2)
    assert (len(first), first.previous_cursor) == (2, None)
    second = await reader.list("invoice", 2, cursor=first.next_cursor)
    assert [e.temporal_run_id for e in [*first, *second]] == ["run-3", "run-2", "run-1", "run-0"]
    assert second.next_cursor is None
    assert await reader.list("invoice", 2, cursor=second.previous_cursor) == first
    assert await reader.list("invoice", 2, 2) == second
    whole = await reader.list_by_user("ada", 4)
    assert (whole.next_cursor, whole.previous_cursor) == (None, None)
    assert (await reader.list("other")).next_cursor is None


async def test_a_cursor_only_fits_its_own_list(reader: ExecutionReader, writer: Writer) -> None:
    """A cursor of another filter, order or namespace is refused, as is one with an offset, or a damaged one."""
    await writer.write([event("started", n, run=f"run-{n}") for n in range(3)])
    cursor = (await reader.list("invoice", 1)).next_cursor
    assert cursor is not None
    assert await reader.list("invoice", 2, cursor=cursor, include_payloads=True)  # neither is part of the list
    foreign = "Failed to list executions: the cursor belongs to another filter or order"
    for asked in (
        reader.list("other", cursor=cursor),
        reader.list(None, cursor=cursor),
        reader.list_by_user("invoice", cursor=cursor),
        reader.list("invoice", cursor=cursor, status="running"),
        reader.list("invoice", cursor=cursor, namespace="other"),
        reader.list("invoice", cursor=cursor, order_direction="asc"),
        reader.list("invoice", cursor=cursor, order_by="completed_at"),
        reader.list("invoice", cursor=cursor, include_deleted=True),
    ):
        with pytest.raises(ExecutionQueryError, match=foreign):
            await asked
    with pytest.raises(ExecutionQueryError, match="offset and cursor exclude each other"):
        await reader.list("invoice", offset=1, cursor=cursor)
    with pytest.raises(ExecutionQueryError, match="Failed to list executions: the cursor is damaged"):
        await reader.list("invoice", cursor=cursor[:-1])


async def test_a_relative_time_stands_still_while_walking(reader: ExecutionReader, writer: Writer) -> None:
    """What was `an hour ago` for the first page is so for the others: a walk does not lose its oldest rows."""
    wanted = Filter(started_since=timedelta(hours=1))
    now = at(3_600)
    await writer.write([event("started", n, run=f"run-{n}") for n in (0, 1, 2)])
    async with reader._pool.lend() as connection:
        first = Listing(wanted, 1)
        sql, arguments = first.query(None, now)
        page = first.page(await connection.fetch(sql, *arguments), None, now)
        assert page.next_cursor is not None
        place = Cursor.decode(page.next_cursor, first.digest)
        later = replace(first, limit=5, cursor=page.next_cursor)
        sql, arguments = later.query(place, now + timedelta(hours=5))
        rest = later.page(await connection.fetch(sql, *arguments), place, now + timedelta(hours=5))
    assert [e.temporal_run_id for e in [*page, *rest]] == ["run-2", "run-1", "run-0"]


async def test_every_field_of_a_filter_narrows(reader: ExecutionReader, writer: Writer) -> None:
    """Each field means what it says, over real rows."""
    await writer.write(
        [
            event("started", 1, run="a", user_id="ada", labels={"k": "v", "team": "x"}, orchestrator="airflow"),
            event("completed", 4, run="a"),
            event("failed", 5, run="b", workflow_id="other", error={"message": "Card DECLINED 50%", "type": "Card"}),
            event("completed", 5.5, run="b", workflow_id="other"),  # another worker's word
            event("started", 3, run="c", attempt=2),
            event("scheduled", 0, run="d", scheduled_for=at(10)),
            event("deleted", 9, run="e"),
        ]
    )
    hour = timedelta(hours=1)
    for wanted, runs in (
        ({"user_id": "ada"}, "a"),
        ({"workflow_id": "other"}, "b"),
        ({"temporal_workflow_id": "invoice-42", "status": ["running", "pending"]}, "cd"),
        ({"orchestrator": "airflow"}, "a"),
        ({"attempt": 2}, "c"),
        ({"open": True}, "cd"),
        ({"labels": {"k": "v"}}, "a"),
        ({"labels": {"k": "x"}}, ""),
        ({"completed_since": at(4), "completed_until": at(5)}, "a"),
        ({"min_duration_ms": 3_000, "max_duration_ms": 3_000}, "a"),
        ({"error_type": "Card"}, "b"),
        ({"error_text": "declined 50%"}, "b"),
        ({"error_text": "5_%"}, ""),
        ({"contested": True}, "b"),
        ({"contested": False, "open": False}, "a"),
        ({"incomplete": True}, "b"),
        ({"silent_for": hour}, "cd"),
        ({"overdue_for": hour}, "d"),
        ({"include_deleted": True, "status": "pending"}, "de"),
        ({"namespace": "other"}, ""),
    ):
        found = await reader.find(Filter(**wanted))
        assert "".join(sorted(e.temporal_run_id for e in found)) == runs, wanted
