"""Migrations: applied once, in order, whole or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from store.errors import MigrationError, MisconfiguredError, UnavailableError
from store.migrate import Migration, migrate, migrations, pending
from tests.conftest import database

ONE = Migration("0001", "one", "CREATE TABLE one (id integer)")
TWO = Migration("0002", "two", "CREATE TABLE two (id integer); INSERT INTO two VALUES (1)")


async def tables(url: str) -> set[str]:
    """The tables of a database."""
    connection = await asyncpg.connect(url)
    try:
        return {
            r["tablename"]
            for r in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        }
    finally:
        await connection.close()


async def recorded(url: str) -> list[tuple[str, str, str]]:
    """What a database says it has applied."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT version, name, checksum FROM schema_migrations ORDER BY version")
        return [(r["version"], r["name"], r["checksum"]) for r in rows]
    finally:
        await connection.close()


async def test_migrations_are_applied_once(empty_database_url: str) -> None:
    """An empty database gets everything and says so with checksums; a second call does nothing."""
    assert await pending(empty_database_url) == migrations()
    assert await migrate(empty_database_url) == migrations()
    assert await migrate(empty_database_url) == []
    assert await pending(empty_database_url) == []
    assert await recorded(empty_database_url) == [(m.version, m.name, m.checksum) for m in migrations()]
    assert {"workflow_executions", "workflows", "users", "positions", "dead_letters", "incidents"} <= await tables(
        empty_database_url
    )


async def test_a_later_migration_is_added(empty_database_url: str) -> None:
    """Only what is missing is applied, in order."""
    assert await migrate(empty_database_url, [ONE]) == [ONE]
    assert await migrate(empty_database_url, [ONE, TWO]) == [TWO]
    assert await tables(empty_database_url) == {"schema_migrations", "one", "two"}


async def test_concurrent_calls_wait_for_each_other(empty_database_url: str) -> None:
    """Of several processes that migrate at once each migration is applied by one, and none fails."""
    applied = await asyncio.gather(*(migrate(empty_database_url) for _ in range(5)))
    assert sorted(map(len, applied)) == [0, 0, 0, 0, len(migrations())]


async def test_a_changed_migration_is_refused(empty_database_url: str) -> None:
    """A migration whose text differs from the one that was applied stops everything and names it."""
    await migrate(empty_database_url, [ONE])
    changed = Migration("0001", "one", ONE.sql + " ")
    with pytest.raises(MigrationError, match="migration 0001 differs"):
        await migrate(empty_database_url, [changed, TWO])
    with pytest.raises(MigrationError, match="migration 0001 differs"):
        await pending(empty_database_url)
    assert await tables(empty_database_url) == {"schema_migrations", "one"}


async def test_a_newer_database_is_refused(empty_database_url: str) -> None:
    """A database that a later version migrated is left alone, with advice to run that version."""
    await migrate(empty_database_url, [ONE, TWO])
    with pytest.raises(MigrationError, match="has migration 0002, which this version does not know; run the version"):
        await migrate(empty_database_url, [ONE])


async def test_a_failed_migration_is_rolled_back(empty_database_url: str) -> None:
    """A migration that fails leaves nothing of itself, keeps those before it, and can be tried again when mended."""
    broken = Migration("0002", "two", TWO.sql + "; SELECT 1 / 0")
    with pytest.raises(MigrationError, match="0002_two failed and was rolled back: division by zero"):
        await migrate(empty_database_url, [ONE, broken])
    assert await tables(empty_database_url) == {"schema_migrations", "one"}
    assert [version for version, _, _ in await recorded(empty_database_url)] == ["0001"]
    assert await migrate(empty_database_url, [ONE, TWO]) == [TWO]


async def test_a_failed_migration_lets_go_of_the_lock(empty_database_url: str) -> None:
    """After a failure the next call does not wait for a lock that nobody holds any more."""
    broken = Migration("0001", "one", "nonsense")
    for _ in range(2):
        with pytest.raises(MigrationError, match="syntax error"):
            await asyncio.wait_for(migrate(empty_database_url, [broken]), 10)


@pytest.mark.parametrize(
    "names", [["1_one.sql"], ["0001_One.sql"], ["0001.sql"], ["0002_two.sql"], ["0001_one.sql", "0003_three.sql"]]
)
def test_files_are_named_and_numbered(tmp_path: Path, names: list[str]) -> None:
    """A file that is not named NNNN_what.sql, or a gap in the numbers, is refused and named."""
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(MigrationError, match=f"{names[-1]}: migrations are named NNNN_what.sql"):
        migrations(tmp_path)


def test_files_are_read_in_order(tmp_path: Path) -> None:
    """Migrations come in the order of their numbers; other files do not matter."""
    for number in (2, 1):
        (tmp_path / f"000{number}_x_{number}.sql").write_text(f"SELECT {number} -- é", encoding="utf-8")
    (tmp_path / "README.md").touch()
    assert [(m.version, m.name, m.sql) for m in migrations(tmp_path)] == [
        ("0001", "x_1", "SELECT 1 -- é"),
        ("0002", "x_2", "SELECT 2 -- é"),
    ]


async def test_an_absent_database_is_named(empty_database_url: str, unused_tcp_port: int) -> None:
    """A database that is not there is a matter of settings, a server that is not there one of waiting."""
    absent = database(empty_database_url, "absent")
    for call in (migrate, pending):
        with pytest.raises(MisconfiguredError, match='"absent" does not exist'):
            await call(absent)
        with pytest.raises(UnavailableError, match=f"PostgreSQL at 127.0.0.1:{unused_tcp_port}"):
            await call(f"postgresql://u:s3cret@127.0.0.1:{unused_tcp_port}/d")


async def test_a_missing_right_is_named(empty_database_url: str) -> None:
    """A user who may not create tables is told so, and nothing is half done."""
    connection = await asyncpg.connect(empty_database_url)
    role = f"reader_{connection.get_server_pid()}"
    try:
        await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
        url = empty_database_url.replace(empty_database_url.split("//")[1].split("@", maxsplit=1)[0], f"{role}:x")
        with pytest.raises(MisconfiguredError, match="permission denied"):
            await migrate(url)
    finally:
        await connection.execute(f"DROP ROLE {role}")
        await connection.close()
