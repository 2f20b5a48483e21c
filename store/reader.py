"""Reading: get, list, count and stats over the table of executions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import UUID

import asyncpg

from events.identity import DEFAULT_NAMESPACE, execution_id
from events.position import Position
from events.vocabulary import Status
from store.asking import WAIT_SECONDS, checked_uuid
from store.counting import Counts
from store.errors import ExecutionQueryError, StoreError
from store.execution import ExecutionWithWorkflow, execution_with_workflow
from store.filters import Filter, check_given, check_seconds, check_text
from store.freshness import Freshness, freshness
from store.listing import Listing, this_moment
from store.neighbours import Neighbours
from store.page import Page
from store.pool import POLL_SECONDS, ReadPool
from store.statements import statement
from store.statistics import Statistics

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

POLL_SECONDS_MAX = 0.25  # how often at least a waiting reader looks at an execution

StatusFilter = Status | str | Collection[Status | str] | None


class ExecutionReader(Neighbours, Counts, Statistics):
    """Answers questions about executions; safe to share between tasks.

        async with ExecutionReader.connect(url) as reader:
            execution = await reader.get("invoice-42")

    Every method takes `at_least`, the position of one's own write, and waits until the table has applied it; and every
    method raises `ExecutionQueryError`, whose message is `Failed to <what>: <reason>`.
    """

    @classmethod
    def connect(cls, url: str) -> Self:
        """Return a reader that connects when entered.

        Raises:
            UnavailableError: on entering, the database does not answer.
            MisconfiguredError: on entering, the database or a right is missing.
        """
        return cls(ReadPool(url))

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)

    async def get(
        self,
        temporal_workflow_id: str,
        temporal_run_id: str | None = None,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        include_deleted: bool = False,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> ExecutionWithWorkflow | None:
        """Return one run, or the latest by started_at, created_at and id where none is named; None if there is none."""
        async with self._query("get execution", at_least, timeout) as connection:
            _check_text(temporal_workflow_id=temporal_workflow_id, temporal_run_id=temporal_run_id, namespace=namespace)
            sql, asked = statement("get_execution"), temporal_workflow_id
            if temporal_run_id is not None:  # by its id: a workflow id may have had any number of runs since
                sql = statement("get_execution_by_id")
                asked = str(execution_id(namespace, temporal_workflow_id, temporal_run_id))
            record = await connection.fetchrow(sql, namespace, asked, include_deleted)
        return execution_with_workflow(record) if record else None

    async def get_by_id(
        self,
        id: UUID | str,  # noqa: A002 - the column's name
        *,
        namespace: str = DEFAULT_NAMESPACE,
        include_deleted: bool = False,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> ExecutionWithWorkflow | None:
        """Return the execution with this id, or None."""
        async with self._query("get execution", at_least, timeout) as connection:
            _check_text(namespace=namespace)
            record = await connection.fetchrow(
                statement("get_execution_by_id"), namespace, checked_uuid(id), include_deleted
            )
        return execution_with_workflow(record) if record else None

    async def list(
        self,
        workflow_id: str | None,
        limit: int = 50,
        offset: int = 0,
        status: StatusFilter = None,
        order_by: str = "started_at",
        order_direction: str = "desc",
        *,
        cursor: str | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        include_deleted: bool = False,
        include_payloads: bool = False,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> Page:
        """Return a page of a workflow's executions, or of all workflows' if None; the options are those of `find`."""
        async with self._query("list executions", at_least, timeout) as connection:
            wanted = Filter(
                namespace=namespace, workflow_id=workflow_id, status=status, include_deleted=include_deleted
            )
            listing = Listing(wanted, limit, offset, order_by, order_direction, cursor, include_payloads)
            return await _page(connection, listing)

    async def list_by_user(
        self,
        user_id: str,
        limit: int = 50,
        offset: int = 0,
        status: StatusFilter = None,
        order_by: str = "started_at",
        order_direction: str = "desc",
        *,
        cursor: str | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        include_deleted: bool = False,
        include_payloads: bool = False,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> Page:
        """Return a page of the executions that a user started; the options are those of `find`."""
        async with self._query("list executions", at_least, timeout) as connection:
            check_given(user_id=user_id)
            wanted = Filter(namespace=namespace, user_id=user_id, status=status, include_deleted=include_deleted)
            listing = Listing(wanted, limit, offset, order_by, order_direction, cursor, include_payloads)
            return await _page(connection, listing)

    async def find(
        self,
        wanted: Filter,
        limit: int = 50,
        offset: int = 0,
        order_by: str = "started_at",
        order_direction: str = "desc",
        *,
        cursor: str | None = None,
        include_payloads: bool = False,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> Page:
        """Return a page of the executions that a filter means.

        `order_by` is one of `OrderBy`: by `completed_at` there is only what has ended. `order_direction` is one of
        `OrderDirection`. `cursor` is one of the page before or after. Input, output and the error's detail are left
        out (None) unless `include_payloads`.
        """
        async with self._query("list executions", at_least, timeout) as connection:
            listing = Listing(wanted, limit, offset, order_by, order_direction, cursor, include_payloads)
            return await _page(connection, listing)

    async def wait_for(
        self,
        id: UUID | str,  # noqa: A002 - the column's name
        status: StatusFilter = None,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> ExecutionWithWorkflow:
        """Return an execution once it has this status, or one of these, or has ended in whatever way.

        Raises:
            ExecutionQueryError: it has not, within the timeout; the message says what it has instead.
        """
        try:
            check_seconds("timeout", timeout)
            wanted = Filter(status=status).statuses
        except ValueError as error:
            msg = f"Failed to wait for execution {id}: {error}"
            raise ExecutionQueryError(msg) from error
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + timeout, POLL_SECONDS
        while True:
            found = await self.get_by_id(
                id, namespace=namespace, at_least=at_least, timeout=max(0, deadline - loop.time())
            )
            if found is not None and (found.status in wanted or found.status.terminal):
                return found
            if loop.time() >= deadline:
                msg = f"Failed to wait for execution {id}: after {timeout:g} s it "
                raise ExecutionQueryError(msg + (f"is {found.status}" if found else "does not exist"))
            await asyncio.sleep(min(pause, max(0, deadline - loop.time())))
            pause = min(2 * pause, POLL_SECONDS_MAX)

    async def freshness(self, *, at_least: Position | None = None, timeout: float = WAIT_SECONDS) -> Freshness:
        """Return how far each partition is applied."""
        async with self._query("read the freshness", at_least, timeout) as connection:
            return freshness(await connection.fetch(statement("read_freshness")))

    @asynccontextmanager
    async def snapshot(self, *, at_least: Position | None = None, timeout: float = WAIT_SECONDS) -> AsyncIterator[Self]:
        """Lend a reader of one moment: all its answers fit together, and its `freshness` is that of each.

        The moment is held for as long as the block lasts, which keeps PostgreSQL from cleaning up: be quick.
        """
        if at_least is not None:
            async with self._query("take a snapshot", at_least, timeout):
                pass
        try:
            async with self._pool.snapshot() as pool:
                yield type(self)(pool)
        except StoreError as error:
            if isinstance(error, ExecutionQueryError):
                raise
            msg = f"Failed to take a snapshot: {error}"
            raise ExecutionQueryError(msg) from error

    async def any_exists(
        self, *, namespace: str = DEFAULT_NAMESPACE, at_least: Position | None = None, timeout: float = WAIT_SECONDS
    ) -> bool:
        """Whether the namespace has any execution at all, hidden ones included."""
        async with self._query("look for executions", at_least, timeout) as connection:
            _check_text(namespace=namespace)
            return bool(await connection.fetchval(statement("any_execution"), namespace))


async def _page(connection: Connection, listing: Listing) -> Page:
    now, place = this_moment(), listing.place()
    sql, arguments = listing.query(place, now)
    # Read before the page, so that the page has at least what it says.
    applied = freshness(await connection.fetch(statement("read_freshness")))
    return listing.page(await connection.fetch(sql, *arguments), place, now, applied)


def _check_text(**values: str | None) -> None:
    for name, value in values.items():
        check_text(name, value)
