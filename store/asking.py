"""What every question shares: it waits for one's own write, borrows a connection, and fails in words of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from events.position import Position
from store.connect import READER_SETTINGS
from store.errors import ExecutionQueryError, StoreError, TooLongError
from store.filters import check_seconds
from store.pool import ReadPool

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

WAIT_SECONDS = 5.0  # how long a read waits for its own write unless told otherwise


class Asking:
    """A pool of connections that is asked."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def _query(
        self, what: str, at_least: Position | None, timeout: float, rather: str = ""
    ) -> AsyncIterator[Connection]:
        try:
            check_seconds("timeout", timeout)
            if at_least is not None:
                await self._pool.wait_until_applied(at_least, timeout)
            async with self._pool.lend() as connection:
                yield connection
        except TooLongError as error:
            most = READER_SETTINGS["statement_timeout"]
            msg = f"Failed to {what}: it took longer than {most}; narrow it by time, workflow or user{rather}"
            raise ExecutionQueryError(msg) from error
        except (StoreError, ValueError) as error:
            msg = f"Failed to {what}: {error}"
            raise ExecutionQueryError(msg) from error

    @asynccontextmanager
    async def _moment(self, what: str, at_least: Position | None, timeout: float) -> AsyncIterator[Connection]:
        """Ask several statements about one moment."""
        async with (
            self._query(what, at_least, timeout) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection


def checked_uuid(value: UUID | str) -> UUID:
    """Return an id.

    Raises:
        ValueError: it is none.
    """
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError):
        msg = "id must be a UUID"
        raise ValueError(msg) from None
