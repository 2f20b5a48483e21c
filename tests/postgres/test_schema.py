"""The schema refuses what must never stand in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from events import Status, fold, row
from events.orders import same_attempt, same_verdict
from tests.conformance.stores import Writer
from tests.lives import at, event

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

ROW: dict[str, Any] = {
    "id": uuid4(),
    "namespace": "default",
    "temporal_workflow_id": "invoice-42",
    "temporal_run_id": "run-1",
    "workflow_id": "invoice",
    "created_at": at(0),
    "updated_at": at(1),
}
POSITION: dict[str, Any] = {"consumer_group": "g", "topic": "t", "partition": 0, "next_offset": 0, "fold_version": 1}
BEFORE, AFTER = datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


async def insert(connection: Connection, table: str, values: dict[str, Any]) -> None:
    """Insert one row."""
    names = ", ".join(values)
    places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", *values.values())


@pytest.fixture
async def known(connection: Connection) -> Connection:
    """A database that knows the workflow `invoice` and the user `ada`."""
    await connection.execute("INSERT INTO workflows (namespace, id, created_at) VALUES ('default', 'invoice', now())")
    await connection.execute("INSERT INTO users (id, created_at) VALUES ('ada', now())")
    return connection


async def test_an_ordinary_row_is_accepted(known: Connection) -> None:
    """A row that breaks no rule is accepted, also one that ended before it started: clocks are skewed."""
    await insert(known, "workflow_executions", ROW)
    skewed = {"id": uuid4(), "status": "failed", "completed_at": at(-9), "register_started_at": at(9)}
    await insert(known, "workflow_executions", ROW | skewed)


REFUSALS: list[tuple[str, dict[str, Any]]] = [
    ("status_is_known", {"status": "exploded"}),
    ("status_is_known", {"status": "exploded", "completed_at": at(1)}),
    *(("terminal_status_has_completed_at", {"status": str(s)}) for s in Status if s.terminal),
    *(
        ("terminal_status_has_completed_at", {"status": str(s), "completed_at": at(1)})
        for s in Status
        if not s.terminal
    ),
    ("attempt_is_positive", {"attempt": 0}),
    ("first_event_is_not_after_last", {"created_at": at(2)}),
    *(
        ("times_are_readable", {name: time})
        for name in ("register_started_at", "scheduled_for", "deleted_at", "register_cancel_requested_at")
        for time in (BEFORE, AFTER)
    ),
    ("times_are_readable", {"status": "failed", "completed_at": AFTER}),
    ("times_are_readable", {"created_at": BEFORE}),
    ("times_are_readable", {"updated_at": AFTER}),
    ("workflow_is_known", {"workflow_id": "unheard-of"}),
    ("workflow_is_known", {"namespace": "unheard-of"}),
    ("user_is_known", {"created_by": "nobody"}),
]


async def test_a_row_that_breaks_a_rule_is_refused(known: Connection) -> None:
    """Each named constraint of the table of executions refuses the rows it is there for."""
    for constraint, values in REFUSALS:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
            await insert(known, "workflow_executions", ROW | values)
        assert (caught.value.constraint_name, values) == (constraint, values)


@pytest.mark.parametrize("values", [{"state": "asleep"}, {"next_offset": -1}])
async def test_a_position_that_breaks_a_rule_is_refused(connection: Connection, values: dict[str, Any]) -> None:
    """A position is live or halted, and not below 0."""
    with pytest.raises(asyncpg.CheckViolationError):
        await insert(connection, "positions", POSITION | values)


async def test_a_position_is_one_row(connection: Connection) -> None:
    """A partition has one position per group."""
    await insert(connection, "positions", POSITION)
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(connection, "positions", POSITION)


async def test_every_check_is_tried(connection: Connection) -> None:
    """No named rule of the table of executions is missing from the tests above."""
    names = await connection.fetch(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'workflow_executions'::regclass AND contype IN ('c', 'f')"
    )
    assert {r["conname"] for r in names} == {constraint for constraint, _ in REFUSALS}


async def test_no_deletion_cascades(known: Connection) -> None:
    """A workflow or a user with executions cannot be deleted: a cascade would make the table differ from the log."""
    await insert(known, "workflow_executions", ROW | {"created_by": "ada"})
    for table in ("workflows", "users"):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await known.execute(f"DELETE FROM {table}")
    actions = await known.fetch("SELECT confdeltype, confupdtype FROM pg_constraint WHERE contype = 'f'")
    assert {(r["confdeltype"], r["confupdtype"]) for r in actions} == {(b"a", b"a")}


_ORDER = b"\x00\x00\x00\x01" + b"x" * 11 + b"\x07"
PAIRS_OF_ORDERS = [
    (b"", b"", True),
    (b"", _ORDER, False),
    (_ORDER, b"\x00\x00\x00\x01" + b"y" * 11 + b"\x07tail", True),
    (_ORDER, b"\x00\x00\x00\x02" + b"x" * 11 + b"\x07", False),
    (_ORDER, b"\x00\x00\x00\x01" + b"x" * 11 + b"\x08", False),
]


async def test_sql_reads_orders_as_python_does(connection: Connection) -> None:
    """The two functions of SQL that look into orders say what their namesakes in Python say."""
    for order, other, verdict in PAIRS_OF_ORDERS:
        assert same_verdict(order, other) is verdict
        assert await connection.fetchval("SELECT same_verdict($1, $2)", order, other) is verdict
        for attempt in (1, 2, 256):
            expected = same_attempt(order, attempt)
            assert await connection.fetchval("SELECT same_attempt($1, $2)", order, attempt) is expected


async def test_readers_see_every_column_of_the_row(connection: Connection, writer: Writer) -> None:
    """The view has the columns of the row under the same names, and applied_at, and nothing of the registers."""
    started = event("started")
    await writer.write([started])
    record = await connection.fetchrow("SELECT * FROM execution_rows")
    assert record is not None
    assert set(record.keys()) == {*type(row(fold([started]))).__slots__, "applied_at"}


TABLES = ("workflow_executions", "workflows", "users", "positions", "dead_letters", "withheld_payloads", "incidents")


async def test_tables_say_what_they_are_for(connection: Connection) -> None:
    """Each table carries a comment for those who find it without the code."""
    for table in TABLES:
        assert await connection.fetchval("SELECT obj_description($1::text::regclass, 'pg_class')", table), table
