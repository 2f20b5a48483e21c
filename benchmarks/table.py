"""A table of many executions, made by PostgreSQL itself in minutes, for what is read from it.

Rows are what the fold would have made of events: skewed workflows and users, 1 % open, 0.5 % with an output beyond
20 kB, labels, trees and chains, thirty days up to now. The same seed gives the same rows, but for the moment at which
they end. The schema is that of the migrations; its indexes are made after the rows. A table that was made is used
again for as long as neither the migrations nor this generator change.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from consumer.local import ports
from consumer.local.postgres import PostgresServer
from consumer.local.site import Site
from events.identity import DEFAULT_NAMESPACE, execution_id
from events.position import TopicPartition
from store import PostgresStore
from store.batch import LogRange
from store.migrate import migrate, migrations

CHUNK = 20_000  # rows of a statement; a multiple of 100, within which parents and chains lie
WORKERS = 2
WORKFLOWS, USERS = 1_000, 50_000
LARGEST = "workflow-0"
NOISE_BYTES = 200_000  # in base64 a third more
SPAN_SECONDS = 30 * 86_400
INSERT = (Path(__file__).parent / "executions.sql").read_text()

FUNCTIONS = (
    """CREATE OR REPLACE FUNCTION pg_temp.draw(n bigint, seed bigint, stream bigint) RETURNS float8
    LANGUAGE sql IMMUTABLE RETURN (hashint8extended(n, seed + stream) & 2147483647)::float8 / 2147483648""",
    "CREATE OR REPLACE FUNCTION pg_temp.later(us bigint) RETURNS bytea LANGUAGE sql IMMUTABLE RETURN int8send(us)",
    """CREATE OR REPLACE FUNCTION pg_temp.earlier(us bigint) RETURNS bytea LANGUAGE sql IMMUTABLE
    RETURN int8send(9223372036854775807 - us)""",
    """CREATE OR REPLACE FUNCTION pg_temp.at(us bigint) RETURNS timestamptz LANGUAGE sql STABLE
    RETURN '1970-01-01 00:00:00+00'::timestamptz + interval '1 microsecond' * us""",
    """CREATE OR REPLACE FUNCTION pg_temp.run(n bigint, seed bigint) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN md5(seed || '-' || n)::uuid::text""",
    """CREATE OR REPLACE FUNCTION pg_temp.temporal_workflow(n bigint) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN 'order-' || CASE WHEN n % 100 IN (8, 9) THEN n - n % 100 + 7
        WHEN n % 100 BETWEEN 21 AND 29 THEN n - n % 100 + 20 ELSE n END""",
)
# For as long as rows are made: nothing that is there already can be lost, and what a crash takes is made once more.
HURRY = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
}
MAKE_WORKFLOWS = """
INSERT INTO workflows (namespace, id, name, created_at)
SELECT 'default', 'workflow-' || n, 'Workflow ' || n, now() - interval '30 days' FROM generate_series(0, $1 - 1) AS n
"""
MAKE_USERS = """
INSERT INTO users (id, created_at)
SELECT 'user-' || n, now() - interval '30 days' FROM generate_series(0, $1 - 1) AS n
"""
INDEXES = """
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index AS i
WHERE i.indrelid = 'workflow_executions'::regclass AND NOT i.indisprimary
ORDER BY i.indexrelid
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was made.

    Attributes:
        url: of its database.
        until: the moment at which it stands, in seconds since 1970.
        seconds: how long making it took.
        made_by: what generator and migrations it is of.
    """

    url: str
    rows: int
    seed: int
    until: float
    seconds: float
    made_by: str


@contextmanager
def server(folder: Path, told: Callable[[str], None]) -> Iterator[PostgresServer]:
    """Run a PostgreSQL of our own in a folder, with the settings of the local stack."""
    site = Site(folder.absolute(), folder.absolute(), told)
    site.prepare()
    postgres = PostgresServer(site)
    postgres.port = ports.choose("postgres", None)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop()


async def table(url: str, rows: int, seed: int, told: Callable[[str], None]) -> Table:
    """Return the table of so many rows on a server, made now if it is not there."""
    name = f"reads_{rows}_{seed}"
    found = await _description(url, name)
    if found is not None and found["made_by"] == _made_by():
        told(f"{rows} rows: there already")
        return Table(**found | {"url": _database(url, name)})
    return await _make(url, name, rows, seed, told)


def ids(first: int, count: int, seed: int) -> bytes:
    """Return the ids of some executions, one behind the other."""
    return b"".join(execution_id(DEFAULT_NAMESPACE, *names(n, seed)).bytes for n in range(first, first + count))


def names(n: int, seed: int) -> tuple[str, str]:
    """Return the workflow id and run id that an execution has in Temporal; SQL says the same in `FUNCTIONS`."""
    place = n % 100
    first = n - place + 7 if place in (8, 9) else n - place + 20 if 21 <= place <= 29 else n
    run = hashlib.md5(f"{seed}-{n}".encode(), usedforsecurity=False).hexdigest()
    return f"order-{first}", f"{run[:8]}-{run[8:12]}-{run[12:16]}-{run[16:20]}-{run[20:]}"


async def make_rows(connection: asyncpg.Connection[asyncpg.Record], rows: int, seed: int, until: float) -> None:
    """Make all the rows of a table in an empty schema, by one connection."""
    await _make_neighbours(connection)
    await _prepare(connection)
    for first in range(0, rows, CHUNK):
        await _insert(connection, first, min(CHUNK, rows - first), rows, seed, until)


async def _make(url: str, name: str, rows: int, seed: int, told: Callable[[str], None]) -> Table:
    began, until = time.monotonic(), float(int(time.time()))
    admin = await asyncpg.connect(url)
    await admin.execute(f'DROP DATABASE IF EXISTS "{name}"')
    await admin.execute(f'CREATE DATABASE "{name}"')
    own = _database(url, name)
    await migrate(own)
    await _hurry(admin, HURRY)
    connection = await asyncpg.connect(own)
    try:
        await _make_neighbours(connection)
        deferred = await connection.fetch(INDEXES)
        await connection.execute("DROP INDEX " + ", ".join(each["name"] for each in deferred))
        await _fill(own, rows, seed, until, told)
        told(f"{rows} rows: making {len(deferred)} indexes after {time.monotonic() - began:.0f} s")
        await _in_turns(own, [each["definition"] for each in deferred])
        told(f"{rows} rows: counting after {time.monotonic() - began:.0f} s")
        await connection.execute("SELECT count_all_executions()")
        told(f"{rows} rows: vacuuming after {time.monotonic() - began:.0f} s")
        await connection.execute("VACUUM (ANALYZE, FREEZE)")
        await _claim(own)
        seconds = time.monotonic() - began
        made = Table(own, rows, seed, until, round(seconds, 1), _made_by())
        await connection.execute("CHECKPOINT")
        await _describe(admin, name, made)
    finally:
        await connection.close()
        await _hurry(admin, dict.fromkeys(HURRY))
        await admin.execute("CHECKPOINT")
        await admin.close()
    told(f"{rows} rows: made in {seconds:.0f} s")
    return made


async def _make_neighbours(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await connection.execute(MAKE_WORKFLOWS, WORKFLOWS)
    await connection.execute(MAKE_USERS, USERS)


async def _fill(url: str, rows: int, seed: int, until: float, told: Callable[[str], None]) -> None:
    chunks = iter(range(0, rows, CHUNK))
    steps = {rows * tenth // 10 // CHUNK * CHUNK: tenth * 10 for tenth in range(1, 10)}
    began = time.monotonic()

    async def work() -> None:
        connection = await asyncpg.connect(url)
        await _prepare(connection)
        for first in chunks:
            await _insert(connection, first, min(CHUNK, rows - first), rows, seed, until)
            if first in steps:
                told(f"{rows} rows: {steps[first]} % after {time.monotonic() - began:.0f} s")
        await connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work())


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    for function in FUNCTIONS:
        await connection.execute(function)
    await connection.execute("SET work_mem = '64MB'")
    await connection.execute("SET synchronous_commit = off")
    # Foreign keys hold by what is made; and what triggers would count is counted from the rows, at the end.
    await connection.execute("SET session_replication_role = replica")


async def _insert(
    connection: asyncpg.Connection[asyncpg.Record], first: int, count: int, rows: int, seed: int, until: float
) -> None:
    made = await asyncio.to_thread(ids, first, count, seed)
    noise = base64.b64encode(Random(seed).randbytes(NOISE_BYTES))  # noqa: S311 - noise that can be made again
    await connection.execute(INSERT, first, count, rows, seed, made, round(until * 1_000_000), noise)


async def _in_turns(url: str, statements: list[str]) -> None:
    """Run statements, one per worker at a time."""
    left = iter(statements)

    async def work() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("SET maintenance_work_mem = '1GB'")
        await connection.execute("SET max_parallel_maintenance_workers = 0")  # there is one of us for each processor
        for each in left:
            await connection.execute(each)
        await connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work())


async def _claim(url: str) -> None:
    """Stand where a consumer of eight partitions would: every page says how fresh it is."""
    store = PostgresStore(url)
    logs = {TopicPartition("workflow-executions", partition): LogRange(0, 0) for partition in range(8)}
    await store.claim("workflow-executions", logs, uuid4(), "benchmark")
    await store.close()


async def _hurry(admin: asyncpg.Connection[asyncpg.Record], settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        await admin.execute(f"ALTER SYSTEM RESET {name}" if value is None else f"ALTER SYSTEM SET {name} = '{value}'")
    await admin.execute("SELECT pg_reload_conf()")


async def _description(url: str, name: str) -> dict[str, Any] | None:
    admin = await asyncpg.connect(url)
    told = await admin.fetchval(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1", name
    )
    await admin.close()
    return None if told is None else json.loads(told)


async def _describe(admin: asyncpg.Connection[asyncpg.Record], name: str, made: Table) -> None:
    told = json.dumps(asdict(made) | {"url": ""}).replace("'", "''")
    await admin.execute(f"COMMENT ON DATABASE \"{name}\" IS '{told}'")


def _made_by() -> str:
    parts = [INSERT, *FUNCTIONS, *(each.checksum for each in migrations())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
