"""Read-only connections for readers: a small pool that opens when entered, and waits for one's own write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import asyncpg

from events.position import Position
from store.connect import READER_SETTINGS, connect_options
from store.errors import MisconfiguredError, UnavailableError
from store.failures import translate
from store.statements import statement

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

SIZE_MAX = 8
ACQUIRE_TIMEOUT_SECONDS = 5.0
POLL_SECONDS = 0.02  # how often a waiting reader looks for its own write


class ReadPool:
    """A pool of read-only connections; an async context manager.

    Raises:
        UnavailableError: on entering or lending, the database does not answer.
        MisconfiguredError: on entering or lending, the database, a table or a right is missing.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def __aenter__(self) -> Self:
        try:
            self._pool = await asyncpg.create_pool(
                **connect_options(self._url), min_size=1, max_size=SIZE_MAX, server_settings=READER_SETTINGS
            )
        except Exception as error:
            raise translate(error, self._url) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await self._pool.close()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Connection]:
        """Lend a connection; what PostgreSQL says against it leaves as an error of the store."""
        if self._pool is None:
            msg = "the reader is not connected; use it as `async with ExecutionReader.connect(url) as reader`"
            raise MisconfiguredError(msg)
        try:
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
                yield connection
        # (InternalClientError: a FATAL message that comes before the end of the connection.)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise translate(error, self._url) from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Lend one moment of the database, for as long as the block lasts."""
        async with (
            self.lend() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute(statement("read_freshness"))  # the first statement takes the snapshot
            yield Snapshot(self._url, connection)

    async def wait_until_applied(self, position: Position, timeout_seconds: float) -> None:
        """Return once the table has applied the record at a position.

        Raises:
            UnavailableError: it was not applied in time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while True:
            async with self.lend() as connection:
                next_offset = await connection.fetchval(
                    statement("read_applied_offset"), position.topic, position.partition
                )
            if next_offset is not None and next_offset > position.offset:
                return
            if loop.time() >= deadline:
                msg = f"{position} was not applied within {timeout_seconds:g} s (applied up to {next_offset})"
                raise UnavailableError(msg)
            await asyncio.sleep(POLL_SECONDS)


class Snapshot(ReadPool):
    """A pool of one connection that only ever sees one moment; it can be shared between tasks, which take turns."""

    def __init__(self, url: str, connection: Connection) -> None:
        super().__init__(url)
        self._connection = connection
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Connection]:
        """Lend the connection."""
        async with self._turn:
            try:
                yield self._connection
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                raise translate(error, self._url) from error

    async def wait_until_applied(self, position: Position, timeout_seconds: float) -> None:  # noqa: ARG002 - a moment does not change
        """Return if the moment has the record at a position.

        Raises:
            UnavailableError: it has not.
        """
        await super().wait_until_applied(position, 0)
