"""Places: how far a sync has read a source."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg

from store.connect import connect_writer
from store.failures import translate
from store.statements import statement

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


class SyncPlaces:
    """Reads and moves places, each time on a connection of its own: a sync needs one every few seconds at most.

    Raises:
        UnavailableError: the database does not answer.
        MisconfiguredError: the database, the table or a right is missing.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def read(self, source: str) -> datetime | None:
        """Return how far a source has been read, or None where it never was."""
        async with self._connected() as connection:
            place: datetime | None = await connection.fetchval(statement("read_sync_place"), source)
        return place

    async def move(self, source: str, place: datetime) -> None:
        """Note that a source has been read up to a place; a place never moves back."""
        async with self._connected() as connection:
            await connection.execute(statement("move_sync_place"), source, place)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        connection: Connection | None = None
        try:
            connection = await connect_writer(self._url)
            yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise translate(error, self._url) from error
        finally:
            if connection is not None:
                await connection.close()
