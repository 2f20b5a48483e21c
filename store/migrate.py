"""Migrations: plain SQL files, applied in order under an advisory lock, their checksums recorded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from store.connect import connect_options, describe
from store.errors import MigrationError
from store.failures import translate
from store.statements import statement

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

FOLDER = Path(__file__).parent.parent / "migrations"
FILE_NAME = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")
LOCK_KEY = 0x77_65_78_6D  # "wexm"; any number will do that nobody else of the database uses


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `migrations/`: its number, its name, its text."""

    version: str
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """Return the migrations of a folder in order.

    Raises:
        MigrationError: a file is not named NNNN_what.sql, or the numbers have a gap.
    """
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = FILE_NAME.fullmatch(path.name)
        if match is None or int(match[1]) != len(found) + 1:
            msg = f"{path.name}: migrations are named NNNN_what.sql and numbered without a gap"
            raise MigrationError(msg)
        found.append(Migration(match[1], match[2], path.read_text(encoding="utf-8")))
    return found


async def migrate(url: str, wanted: Sequence[Migration] | None = None) -> list[Migration]:
    """Bring the schema up to date and return what was applied; concurrent calls wait for each other.

    Raises:
        MigrationError: a recorded migration has changed, the database is newer than this code, or one failed.
        UnavailableError: the database does not answer.
        MisconfiguredError: the database or a right is missing.
    """
    wanted = migrations() if wanted is None else wanted
    try:
        connection = await asyncpg.connect(**connect_options(url) | {"command_timeout": None})
    except Exception as error:
        raise translate(error, url) from error
    try:
        await connection.execute(statement("lock_migrations"), LOCK_KEY)
        return await _apply(connection, wanted)
    except MigrationError:
        raise
    except Exception as error:
        raise translate(error, url) from error
    finally:
        await connection.close()  # which also lets go of the lock


async def pending(url: str) -> list[Migration]:
    """Return the migrations that the database lacks.

    Raises:
        MigrationError: a recorded migration has changed, or the database is newer than this code.
        UnavailableError: the database does not answer.
        MisconfiguredError: the database or a right is missing.
    """
    try:
        connection = await asyncpg.connect(**connect_options(url))
    except Exception as error:
        raise translate(error, url) from error
    try:
        return _missing(migrations(), await _recorded(connection), describe(url))
    except asyncpg.UndefinedTableError:
        return migrations()
    except MigrationError:
        raise
    except Exception as error:
        raise translate(error, url) from error
    finally:
        await connection.close()


async def _apply(connection: Connection, wanted: Sequence[Migration]) -> list[Migration]:
    await connection.execute(statement("create_schema_migrations"))
    missing = _missing(wanted, await _recorded(connection), "the database")
    for migration in missing:
        try:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    statement("insert_schema_migration"), migration.version, migration.name, migration.checksum
                )
        except asyncpg.PostgresError as error:
            msg = f"migration {migration.version}_{migration.name} failed and was rolled back: {error.args[0]}"
            raise MigrationError(msg) from error
    return missing


async def _recorded(connection: Connection) -> dict[str, str]:
    return {r["version"]: r["checksum"] for r in await connection.fetch(statement("read_schema_migrations"))}


def _missing(wanted: Sequence[Migration], recorded: dict[str, str], where: str) -> list[Migration]:
    known = {migration.version: migration for migration in wanted}
    if newer := sorted(recorded.keys() - known.keys()):
        msg = f"{where} has migration {newer[-1]}, which this version does not know; run the version that made it"
        raise MigrationError(msg)
    for version, checksum in recorded.items():
        if known[version].checksum != checksum:
            msg = f"migration {version} differs from the one that {where} applied; applied migrations must not change"
            raise MigrationError(msg)
    return [migration for migration in wanted if migration.version not in recorded]
