"""Reading: get, list and stats over the table of executions."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, get_args
from uuid import UUID

import asyncpg

from events.identity import DEFAULT_NAMESPACE
from events.position import Position
from events.vocabulary import Status
from store.errors import ExecutionQueryError, StoreError
from store.execution import Execution, ExecutionStats, ExecutionWithWorkflow, execution, execution_with_workflow, stats
from store.pool import ReadPool
from store.statements import statement

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

LIMIT_MAX = 500  # a page for people, or one answer for programs; more is an export
OFFSET_MAX = 1_000_000  # beyond it PostgreSQL reads and drops more rows than anyone can want
WAIT_SECONDS = 5.0  # how long a read waits for its own write unless told otherwise

OrderBy = Literal["started_at", "completed_at", "created_at", "updated_at", "duration_ms", "status"]
OrderDirection = Literal["asc", "desc"]

# Column and direction to the words that replace the marked order of list_executions.sql; nothing else ever does.
_MARK, _END_MARK = "/* order */", "/* end of order */"
_NULLS = dict.fromkeys(("completed_at", "duration_ms"), " NULLS LAST")  # elsewhere it would keep an index from serving
_ORDERS = {
    (column, direction): f" e.{column} {direction.upper()}{_NULLS.get(column, '')}, e.id {direction.upper()} "
    for column in get_args(OrderBy)
    for direction in get_args(OrderDirection)
}


class ExecutionReader:
    """Answers questions about executions; safe to share between tasks.

        async with ExecutionReader.connect(url) as reader:
            execution = await reader.get("invoice-42")

    Every method takes `at_least`, the position of one's own write, and waits until the table has applied it; and every
    method raises `ExecutionQueryError`, whose message is `Failed to <what>: <reason>`.
    """

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

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
            record = await connection.fetchrow(
                statement("get_execution"), namespace, temporal_workflow_id, temporal_run_id, include_deleted
            )
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
                statement("get_execution_by_id"), _checked_uuid(id), namespace, include_deleted
            )
        return execution_with_workflow(record) if record else None

    async def list(
        self,
        workflow_id: str | None,
        limit: int = 50,
        offset: int = 0,
        status: Status | str | None = None,
        order_by: str = "started_at",
        order_direction: str = "desc",
        *,
        namespace: str = DEFAULT_NAMESPACE,
        include_deleted: bool = False,
        include_payloads: bool = False,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> builtins.list[Execution]:
        """Return a page of a workflow's executions, or of all workflows' if None.

        `order_by` is one of `OrderBy`, `order_direction` one of `OrderDirection`. Input, output and the error's detail
        are left out (None) unless `include_payloads`.
        """
        async with self._query("list executions", at_least, timeout) as connection:
            _check_text(workflow_id=workflow_id, namespace=namespace)
            sql = _checked_order(order_by, order_direction)
            page = _checked_status(status), include_deleted, *_checked_page(limit, offset), include_payloads
            records = await connection.fetch(sql, namespace, workflow_id, None, *page)
        return [execution(record) for record in records]

    async def list_by_user(
        self,
        user_id: str,
        limit: int = 50,
        offset: int = 0,
        status: Status | str | None = None,
        order_by: str = "started_at",
        order_direction: str = "desc",
        *,
        namespace: str = DEFAULT_NAMESPACE,
        include_deleted: bool = False,
        include_payloads: bool = False,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> builtins.list[Execution]:
        """Return a page of the executions that a user started; the options are those of `list`."""
        async with self._query("list executions", at_least, timeout) as connection:
            _check_given(user_id=user_id)
            _check_text(user_id=user_id, namespace=namespace)
            sql = _checked_order(order_by, order_direction)
            page = _checked_status(status), include_deleted, *_checked_page(limit, offset), include_payloads
            records = await connection.fetch(sql, namespace, None, user_id, *page)
        return [execution(record) for record in records]

    async def stats(
        self,
        workflow_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        include_deleted: bool = False,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> ExecutionStats:
        """Return counts by status, durations in milliseconds and the success rate in percent of a workflow."""
        async with self._query("get execution stats", at_least, timeout) as connection:
            _check_text(workflow_id=workflow_id, namespace=namespace)
            records = await connection.fetch(statement("count_by_status"), namespace, workflow_id, include_deleted)
        return stats(records)

    async def any_exists(self, *, namespace: str = DEFAULT_NAMESPACE) -> bool:
        """Whether the namespace has any execution at all, hidden ones included."""
        async with self._query("look for executions", None, 0) as connection:
            _check_text(namespace=namespace)
            return bool(await connection.fetchval(statement("any_execution"), namespace))

    @asynccontextmanager
    async def _query(self, what: str, at_least: Position | None, timeout: float) -> AsyncIterator[Connection]:
        try:
            if at_least is not None:
                await self._pool.wait_until_applied(at_least, timeout)
            async with self._pool.lend() as connection:
                yield connection
        except (StoreError, ValueError) as error:
            msg = f"Failed to {what}: {error}"
            raise ExecutionQueryError(msg) from error


def _check_given(**values: str | None) -> None:
    for name, value in values.items():
        if value is None:  # in SQL it would mean all of them
            msg = f"{name} must be given"
            raise ValueError(msg)


def _check_text(**values: str | None) -> None:
    for name, value in values.items():
        if value is None:
            continue
        if "\x00" in value:
            msg = f"{name} must not contain NUL"
            raise ValueError(msg)
        try:
            value.encode()
        except UnicodeEncodeError:
            msg = f"{name} must not contain half of a surrogate pair"
            raise ValueError(msg) from None


def _checked_uuid(value: UUID | str) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError):
        msg = "id must be a UUID"
        raise ValueError(msg) from None


def _checked_status(status: Status | str | None) -> str | None:
    if status is None or status in {str(s) for s in Status}:
        return status
    msg = f"unknown status {status!r}; one of {', '.join(Status)}"
    raise ValueError(msg)


def _checked_order(order_by: str, order_direction: str) -> str:
    if order_by not in get_args(OrderBy):
        msg = f"cannot order by {order_by!r}; order_by is one of {', '.join(get_args(OrderBy))}"
        raise ValueError(msg)
    direction = str(order_direction).lower()
    if direction not in get_args(OrderDirection):
        msg = f"cannot order {order_direction!r}; order_direction is asc or desc"
        raise ValueError(msg)
    before, _, rest = statement("list_executions").partition(_MARK)
    return before + _ORDERS[order_by, direction] + rest.partition(_END_MARK)[2]


def _checked_page(limit: int, offset: int) -> tuple[int, int]:
    for name, value, least, most in (("limit", limit, 1, LIMIT_MAX), ("offset", offset, 0, OFFSET_MAX)):
        if type(value) is not int or not least <= value <= most:
            msg = f"{name} must be a whole number from {least} to {most}, not {value!r}"
            raise ValueError(msg)
    return limit, offset
