"""What PostgreSQL says, provoked on a real server, and what the consumer is told to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from events.position import TopicPartition
from store import PostgresStore
from store.batch import Batch, DeadLetter, Incident, LogRange, Move
from store.errors import MisconfiguredError, RefusedError, StoreError, UnavailableError
from store.failures import SQLSTATE_ACTIONS, Action, action_for, translate
from tests.conformance.stores import Writer
from tests.lives import event
from tests.postgres.test_merge import until_somebody_waits

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

URL = "postgresql://u:s3cret@db.example:5433/d"
INCIDENT = Incident("gap", TopicPartition("t", 0), 0, 1, "")

# Statements by the SQLSTATE that they end in.
STATEMENTS = {
    "22021": [r"SELECT convert_from('\x00', 'UTF8')"],
    "22P05": [r"""SELECT '"\u0000"'::jsonb"""],
    "22P02": ["SELECT 'nonsense'::jsonb"],
    "22003": ["SELECT 2147483647::integer + 1"],
    "22008": ["SELECT '294277-01-01'::timestamptz"],
    "23502": ["INSERT INTO users (id, created_at) VALUES ('a', NULL)"],
    "23503": [
        """INSERT INTO workflow_executions
        (id, namespace, temporal_workflow_id, temporal_run_id, workflow_id, created_at, updated_at)
        VALUES (gen_random_uuid(), 'n', 't', 'r', 'unheard-of', now(), now())"""
    ],
    "23505": ["INSERT INTO users VALUES ('a', now()), ('a', now())"],
    "23514": [
        """INSERT INTO positions (consumer_group, topic, partition, next_offset, fold_version)
        VALUES ('g', 't', 0, -1, 1)"""
    ],
    "25006": ["BEGIN READ ONLY", "CREATE TABLE t ()"],
    "25P02": ["BEGIN", "SELECT 1 / 0", "SELECT 1"],
    "3F000": ["CREATE TABLE absent.t ()"],
    "42601": ["nonsense"],
    "42703": ["SELECT absent FROM users"],
    "42P01": ["SELECT * FROM absent"],
    "42501": ["SET ROLE pg_monitor", "DELETE FROM users"],
    "54000": ["INSERT INTO users SELECT string_agg(gen_random_uuid()::text, ''), now() FROM generate_series(1, 500)"],
    "54001": ["SELECT repeat('[', 1000000)::jsonb"],
    "57014": ["SET statement_timeout = '10ms'", "SELECT pg_sleep(10)"],
}
ACTIONS = {
    "22": Action.BISECT,
    "23502": Action.BISECT,
    "23503": Action.STOP,
    "23505": Action.STOP,
    "23514": Action.BISECT,
    "25006": Action.RETRY,
    "25P02": Action.STOP,
    "3F": Action.STOP,
    "42": Action.STOP,
    "54": Action.BISECT,
    "57": Action.RETRY,
}


async def test_what_a_statement_ends_in_has_its_action(database_url: str) -> None:
    """A SQLSTATE as a real server sends it leads to the action that its class stands for."""
    for state, sql in STATEMENTS.items():
        connection = await asyncpg.connect(database_url)
        *before, last = sql
        for statement in before:
            with suppress(asyncpg.DivisionByZeroError):
                await connection.execute(statement)
        with pytest.raises(asyncpg.PostgresError) as caught:
            await connection.execute(last)
        await connection.close()
        error = caught.value
        assert error.sqlstate == state
        assert action_for(error) is (ACTIONS.get(state) or ACTIONS[state[:2]])


async def test_a_deadlock_is_tried_again(connection: Connection, database_url: str) -> None:
    """One of two sessions that wait for each other is told to try again."""
    await connection.execute("INSERT INTO users VALUES ('a', now()), ('b', now())")
    other = await asyncpg.connect(database_url)
    errors: list[BaseException] = []

    async def lock(session: Connection, first: str, second: str, ready: asyncio.Barrier) -> None:
        try:
            async with session.transaction():
                await session.execute("SET LOCAL deadlock_timeout = '10ms'")
                await session.execute("UPDATE users SET created_at = now() WHERE id = $1", first)
                await ready.wait()
                await session.execute("UPDATE users SET created_at = now() WHERE id = $1", second)
        except asyncpg.PostgresError as error:
            errors.append(error)

    barrier = asyncio.Barrier(2)
    await asyncio.gather(lock(connection, "a", "b", barrier), lock(other, "b", "a", barrier))
    await other.close()
    [error] = errors
    assert (getattr(error, "sqlstate", ""), action_for(error)) == ("40P01", Action.RETRY)


async def test_a_lock_that_is_not_had_is_tried_again(connection: Connection, database_url: str) -> None:
    """A session that waits too long for a lock is told to try again."""
    other = await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE users")
        with pytest.raises(asyncpg.LockNotAvailableError) as caught:
            await other.execute("SET lock_timeout = '10ms'; SELECT * FROM users")
    await other.close()
    assert (caught.value.sqlstate, action_for(caught.value)) == ("55P03", Action.RETRY)


ENCODED = [("integer", "nonsense"), ("integer", 2**31), ("bigint", 2**63), ("timestamptz", "now"), ("text", "\ud800")]


@pytest.mark.parametrize(("kind", "value"), [*ENCODED, ("uuid", "nonsense"), ("text", 5), ("text[]", [["a"], "b"])])
async def test_what_the_client_cannot_send_is_one_records_fault(
    connection: Connection, kind: str, value: object
) -> None:
    """A value that asyncpg cannot encode is looked for by halving the batch."""
    with pytest.raises(Exception, match=r".") as caught:
        await connection.fetchval(f"SELECT $1::{kind}", value)
    assert action_for(caught.value) is Action.BISECT
    assert isinstance(translate(caught.value, URL), RefusedError)


async def terminate_backend(connection: Connection, store: PostgresStore) -> None:
    """End the store's session from outside."""
    assert store._connection is not None
    await connection.execute("SELECT pg_terminate_backend($1)", store._connection.get_server_pid())


async def test_a_terminated_session_costs_one_try(connection: Connection, store: PostgresStore, writer: Writer) -> None:
    """A session that was ended between two batches is an outage or goes unnoticed; the next try is on a new one."""
    await terminate_backend(connection, store)
    try:
        await writer.write([event("started")])
    except UnavailableError:
        await writer.write([event("started")])
    assert (await store.read_claims("g"))[writer.partition].next_offset == 1


async def test_a_session_terminated_at_work_is_an_outage(
    connection: Connection, store: PostgresStore, writer: Writer
) -> None:
    """A batch whose session is ended in the middle is an outage, and nothing of it is written."""
    async with connection.transaction():
        await connection.execute("LOCK TABLE workflow_executions IN SHARE MODE")
        writing = asyncio.create_task(writer.write([event("started")]))
        await until_somebody_waits(connection)
        await terminate_backend(connection, store)
        with pytest.raises(UnavailableError, match=r"PostgreSQL at \S+: "):
            await writing
    assert store._connection is None
    assert (await store.read_claims("g"))[writer.partition].next_offset == 0
    await writer.write([event("started")])


async def test_a_changed_schema_is_an_outage_once(connection: Connection, store: PostgresStore, writer: Writer) -> None:
    """A statement whose plan a migration made invalid is tried again on a new connection, which prepares it anew."""
    await store.read_claims("g")
    await connection.execute("ALTER TABLE positions ALTER COLUMN partition TYPE bigint")
    try:
        await store.read_claims("g")
    except UnavailableError:
        await store.read_claims("g")
    assert action_for(asyncpg.InvalidCachedStatementError("x")) is Action.RETRY
    del writer


async def test_closing_a_broken_connection_ends_it(
    connection: Connection, store: PostgresStore, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing while the server does not answer ends the session after a bounded time, and never raises."""
    opened = store._connection
    assert opened is not None
    monkeypatch.setattr("store.postgres.CLOSE_TIMEOUT_SECONDS", 0.05)
    async with connection.transaction():
        await connection.execute("LOCK TABLE workflow_executions IN SHARE MODE")
        writing = asyncio.create_task(writer.write([event("started")]))
        await until_somebody_waits(connection)
        await store.close()
        assert opened.is_closed()
        with pytest.raises(UnavailableError):
            await writing


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.claim("g", {TopicPartition("t", 0): LogRange(0, 0)}, uuid4(), "me"),
        lambda store: store.read_claims("g"),
        lambda store: store.release("g", uuid4()),
        lambda store: store.halt("g", uuid4(), 0, INCIDENT),
        lambda store: Writer(store, "g", TopicPartition("t", 0)).write([event("started")]),
    ],
    ids=["claim", "read_claims", "release", "halt", "apply"],
)
async def test_a_database_without_tables_is_a_mistake(
    empty_database_url: str, use: Callable[[PostgresStore], Awaitable[object]]
) -> None:
    """Without its tables each operation of the store ends at once, and says which table is missing."""
    store = PostgresStore(empty_database_url)
    with pytest.raises(MisconfiguredError, match=r'relation "\w+" does not exist \(42P01\)'):
        await use(store)
    await store.close()


async def test_a_refused_batch_names_the_column(store: PostgresStore, writer: Writer) -> None:
    """A batch that a rule refuses names the SQLSTATE and the rule or column, and keeps its connection."""
    before = store._connection
    writer.offset = 0
    with pytest.raises(RefusedError) as caught:
        await store.claim("g", {TopicPartition("t", 9): LogRange(-1, 0)}, uuid4(), "me")
    assert (caught.value.sqlstate, caught.value.column) == ("23514", "next_offset_is_not_negative")
    with pytest.raises(RefusedError) as not_null:
        await writer.write(dead_letters=[DeadLetter(writer.partition, 0, 0, None, None, (), None, "")])  # type: ignore[arg-type] # that is the point
    assert (not_null.value.sqlstate, not_null.value.column) == ("23502", "reason")
    assert store._connection is before
    with pytest.raises(RefusedError) as client:
        await store.apply(Batch("g", {writer.partition: Move(writer.token, 0, 2**63)}))
    assert client.value.sqlstate == "22000"


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ConnectionRefusedError("refused"), UnavailableError, "PostgreSQL at db.example:5433/d: refused"),
        (TimeoutError(), UnavailableError, "PostgreSQL at db.example:5433/d: TimeoutError"),
        (EOFError("eof"), UnavailableError, "PostgreSQL at db.example:5433/d: eof"),
        (asyncpg.InterfaceError("closed\nsecond line"), UnavailableError, "PostgreSQL at db.example:5433/d: closed"),
        (asyncpg.InternalClientError("x"), UnavailableError, "PostgreSQL at db.example:5433/d: x"),
        (OverflowError("big"), RefusedError, "PostgreSQL refuses the content: OverflowError"),
        (UnicodeError("half"), RefusedError, "PostgreSQL refuses the content: UnicodeError"),
        (KeyError("bug"), MisconfiguredError, "PostgreSQL at db.example:5433/d: 'bug' (KeyError)"),
        (asyncpg.DiskFullError("full"), UnavailableError, "PostgreSQL at db.example:5433/d: full"),
        (asyncpg.InvalidPasswordError("no"), MisconfiguredError, "PostgreSQL at db.example:5433/d: no (28P01)"),
        (asyncpg.PostgresError("odd"), MisconfiguredError, "PostgreSQL at db.example:5433/d: odd (PostgresError)"),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, Exception) else None,
)
def test_every_failure_becomes_an_error_of_the_store(error: Exception, kind: type[StoreError], message: str) -> None:
    """Whatever goes wrong below leaves as one of three errors, in one line that hides user and password."""
    translated = translate(error, URL)
    assert type(translated) is kind
    assert str(translated) == message


@pytest.mark.parametrize(
    ("state", "action"),
    [
        ("08006", Action.RETRY),
        ("28P01", Action.STOP),
        ("3D000", Action.STOP),
        ("40001", Action.RETRY),
        ("53300", Action.RETRY),
        ("57P01", Action.RETRY),
        ("57P03", Action.RETRY),
        ("58030", Action.RETRY),
        ("XX000", Action.RETRY),
        ("0A000", Action.STOP),
        ("P0001", Action.STOP),
    ],
)
def test_states_that_cannot_be_provoked_have_their_action(state: str, action: Action) -> None:
    """A SQLSTATE that no healthy server sends is looked up by its class, and is a stop if that is unknown."""
    error = asyncpg.PostgresError.new({"C": state, "M": "as a server would say it"})
    assert action_for(error) is action


def test_the_table_of_failures_has_states_and_classes() -> None:
    """Every key of the table is a SQLSTATE or a class of two characters."""
    assert {len(key) for key in SQLSTATE_ACTIONS} == {2, 5}
