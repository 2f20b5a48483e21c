"""The three roles of deploy/postgresql/roles.sql: each does its work, and has not one privilege more."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from consumer.replay.rebuild import Rebuild
from consumer.replay.verify import Question, verify
from events.position import Position
from store import ExecutionReader, PostgresStore
from store.diagnosis import CONSUMER_RIGHTS
from store.migrate import migrate
from tests.consuming import consume_all, fetch, produce
from tests.replay.load import EVENTS_EACH, records
from tests.stack import Servers

SCRIPT = Path(__file__).parents[2] / "deploy" / "postgresql" / "roles.sql"
ROLES = ("wex_owner", "wex_consumer", "wex_reader")
PASSWORD = "canary-role-password"
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
WRITES = {"SELECT", "INSERT", "UPDATE"}

# What each role may do with each table, whole columns apart; a table without a row here is one that nobody decided on.
EXPECTED = {
    "workflow_executions": (WRITES, {"SELECT"}),
    "execution_rows": ({"SELECT"}, {"SELECT"}),
    "workflows": (WRITES, {"SELECT"}),
    "users": (WRITES, {"SELECT"}),
    "positions": (WRITES, set()),
    "dead_letters": ({"SELECT", "INSERT"}, set()),
    "withheld_payloads": ({"SELECT", "INSERT"}, set()),
    "incidents": ({"SELECT", "INSERT"}, set()),
    "sync_places": (WRITES, set()),
    "schema_migrations": ({"SELECT"}, set()),
    "statistics_deltas": ({"SELECT", "INSERT", "DELETE"}, {"SELECT"}),
    "execution_statistics": (WRITES | {"DELETE"}, {"SELECT"}),
    "statistics_mark": ({"SELECT", "UPDATE"}, {"SELECT"}),
    "statistics_missing": (set(), set()),
    "purges": (set(), set()),
    "standing_purges": (set(), set()),
}
HELD = """
    SELECT c.relname, p.privilege FROM pg_class AS c CROSS JOIN unnest($2::text []) AS p (privilege)
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'p', 'm')
    AND has_table_privilege($1, c.oid, p.privilege)
"""
RELATIONS = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'p', 'm')"
)
COLUMNS = """
    SELECT c.relname, a.attname FROM pg_class AS c INNER JOIN pg_attribute AS a ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
    AND has_column_privilege($1, c.oid, a.attnum, 'SELECT') AND NOT has_table_privilege($1, c.oid, 'SELECT')
"""
SEQUENCES = """
    SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S'
    AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege($1, c.oid, 'USAGE, UPDATE') END
"""
OWNERS = """
    SELECT DISTINCT relowner::regrole::text AS owner FROM pg_class WHERE relnamespace = 'public'::regnamespace
"""
SCHEMA = (
    "SELECT has_schema_privilege($1, 'public', 'CREATE') OR has_database_privilege($1, current_database(), 'CREATE')"
)


def as_role(url: str, role: str) -> str:
    """The URL of a database for a user who has a role."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"test_{role}:{PASSWORD}@{parts.hostname}:{parts.port}"))


@pytest.fixture
async def roles(database_url: str) -> str:
    """A database with the roles, and a user for each; the script is run twice."""
    connection = await asyncpg.connect(database_url)
    try:
        for _ in range(2):
            await connection.execute(SCRIPT.read_text())
        for role in ROLES:
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", f"test_{role}"):
                await connection.execute(f"CREATE ROLE test_{role} LOGIN PASSWORD '{PASSWORD}' IN ROLE {role}")
        await connection.execute("ALTER ROLE test_wex_owner SET role TO wex_owner")
    finally:
        await connection.close()
    return database_url


async def held(url: str, role: str) -> dict[str, set[str]]:
    """The privileges of a role, by table."""
    found: dict[str, set[str]] = {r["relname"]: set() for r in await fetch(url, RELATIONS)}
    for record in await fetch(url, HELD, role, list(PRIVILEGES)):
        found[record["relname"]].add(record["privilege"])
    return found


async def test_each_role_has_exactly_its_privileges(roles: str) -> None:
    """For every table and privilege, and the columns, sequences and schemas: what is meant is what is granted."""
    assert await held(roles, "wex_consumer") == {table: each[0] for table, each in EXPECTED.items()}
    assert await held(roles, "wex_reader") == {table: each[1] for table, each in EXPECTED.items()}
    columns = {(r["relname"], r["attname"]) for r in await fetch(roles, COLUMNS, "wex_reader")}
    assert columns == {("positions", each) for each in ("topic", "partition", "next_offset", "state", "moved_at")}
    for role in ("wex_consumer", "wex_reader"):
        assert await fetch(roles, SEQUENCES, role) == []
        assert [tuple(r) for r in await fetch(roles, SCHEMA, role)] == [(False,)]


def test_the_consumer_has_what_doctor_asks_for() -> None:
    """What `wex doctor` demands of a consumer is what the role has; the place of `wex temporal sync` comes on top."""
    granted = {(table, each.lower()) for table, (consumer, _) in EXPECTED.items() for each in consumer}
    assert {r for r in granted if r[0] != "sync_places"} == set(CONSUMER_RIGHTS)


async def test_a_privilege_too_many_is_seen(roles: str) -> None:
    """The comparison above can fail: a grant to the reader is found."""
    await fetch(roles, "GRANT SELECT ON dead_letters TO wex_reader")
    assert (await held(roles, "wex_reader"))["dead_letters"] == {"SELECT"}


async def test_each_role_does_its_work(servers: Servers, roles: str, topic: str) -> None:
    """A consumer consumes, a reader reads its own write, an owner verifies, replays and swaps; grants stay."""
    bootstrap = servers.kafka_bootstrap_servers
    values = [*records(5), b"no event"]
    await produce(bootstrap, topic, values, partitions=1)
    await consume_all(bootstrap, PostgresStore(as_role(roles, "wex_consumer")), topic)
    await reads(as_role(roles, "wex_reader"), topic)
    owner = as_role(roles, "wex_owner")
    assert await migrate(owner) == []
    verdict = await verify(bootstrap, owner, "tests", Question(), lambda *_: None)
    assert (verdict.executions, verdict.different) == (5, 0)
    rebuild = Rebuild(bootstrap, owner, "tests")
    await rebuild.start()
    await rebuild.swap()
    await test_each_role_has_exactly_its_privileges(roles)
    await reads(as_role(roles, "wex_reader"), topic)
    await produce(bootstrap, topic, records(5, first=5), partitions=1)
    await consume_all(bootstrap, PostgresStore(as_role(roles, "wex_consumer")), topic)


async def reads(url: str, topic: str) -> None:
    """Read as a reader: executions, also what one has just written, and nothing that was set aside."""
    async with ExecutionReader.connect(url) as reader:
        found = await reader.get("order-0", at_least=Position(topic, 0, 5 * EVENTS_EACH))
        assert found is not None
        assert (await reader.stats("workflow-0")).total
    for table in ("dead_letters", "withheld_payloads", "incidents", "sync_places", "schema_migrations"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await fetch(url, f"SELECT * FROM {table}")
    for statement in ("DELETE FROM workflow_executions", "CREATE TABLE t (i int)", "CREATE SCHEMA s"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await fetch(url, statement)


async def test_a_migration_belongs_to_the_owner(empty_database_url: str) -> None:
    """An empty database that the owner may create in is migrated by the owner, who then owns everything."""
    url = empty_database_url
    name = urlsplit(url).path[1:]
    owner = ROLES[0]
    await fetch(url, f"DO $$ BEGIN CREATE ROLE {owner}; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    await fetch(url, f'GRANT CREATE ON DATABASE "{name}" TO {owner}')
    await fetch(url, f"GRANT CREATE, USAGE ON SCHEMA public TO {owner}")
    assert await migrate(f"{url}?role={owner}")
    assert [r["owner"] for r in await fetch(url, OWNERS)] == [owner]
