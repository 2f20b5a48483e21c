"""Merging: deltas that executions left behind become statistics, beside the consumers and never in their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from store.connect import connect_operator
from store.failures import translate
from store.statements import statement

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

LOCK_KEY = 0x77_65_78_74  # "wext", beside a hash of the schema: one at a time merges
PART = 50_000  # deltas at once: ten seconds where they are sparse, and added up in memory


async def merge(connection: Connection, most: int = PART) -> int | None:
    """Merge a part of what has come to rest, and return how many deltas that were; None if another is about it."""
    async with connection.transaction():
        schema = await connection.fetchval(statement("read_current_schema"))
        if not await connection.fetchval(statement("try_advisory_xact_lock"), LOCK_KEY, schema):
            return None
        await connection.execute(statement("probe_each_statistic"))
        return int(await connection.fetchval(statement("merge_statistics"), most))


class StatisticsMerger:
    """Merges over a connection of its own, opened when first needed.

    Raises:
        UnavailableError: at any time, the database does not answer.
        MisconfiguredError: at any time, a table or a right is missing.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None

    async def merge(self, most: int = PART) -> int | None:
        """Merge a part of what has come to rest, and return how many deltas that were; None if another is about it."""
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect_operator(self._url)
            return await merge(self._connection, most)
        except Exception as error:
            self.close()
            raise translate(error, self._url) from error

    def close(self) -> None:
        """Let go of the connection, whatever it is doing."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
