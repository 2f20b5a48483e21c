"""Purges: executions that a policy covers are deleted, a batch at a time, and the policy is kept.

A batch is a transaction of its own that waits for nobody: it passes over rows that somebody else has locked, counts
what it has deleted in the same transaction, and is taken back where it takes long. So a purge can be killed at any
moment, and consumers wait for the rows of one batch at most.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Self
from uuid import UUID

import asyncpg

from store.conditions import Condition, between_marks, narrowed
from store.connect import connect_operator
from store.errors import StoreError
from store.failures import translate
from store.purge_policy import PurgePolicy
from store.replays import SCHEMA
from store.statements import statement

if TYPE_CHECKING:
    from types import TracebackType

    Connection = asyncpg.Connection[asyncpg.Record]

PURGES_MAX = 10_000  # a purge a day for 27 years
PAGE_ROWS = 10_000  # ids that are looked for at once
BATCH_TIMEOUT = "800ms"  # of each statement of a batch: a consumer that needs one of its rows waits no second


class RevokedError(StoreError):
    """A purge was revoked while it was under way."""


class Purgeable(NamedTuple):
    """Executions of one status that a policy covers."""

    status: str
    executions: int
    first_ended_at: datetime
    last_ended_at: datetime


class Place(NamedTuple):
    """Where in the order of a search an execution stands."""

    time: datetime
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """A purge that was kept.

    Attributes:
        reason: why, as far as somebody said so.
        executions: how many rows it has deleted until now.
        state: finished; unfinished; covered, where another purge covers all that this one does; or revoked.
    """

    id: int
    policy: PurgePolicy
    begun_at: datetime
    begun_by: str
    reason: str | None
    executions: int
    worked_at: datetime
    finished_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    state: str


class Purges:
    """Counts, begins, carries out and revokes purges; an async context manager.

    Raises:
        UnavailableError: at any time, the database does not answer, or somebody holds what is needed for long.
        MisconfiguredError: at any time, a table or a right is missing.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        try:
            self._connection = await connect_operator(self._url)
        except Exception as error:
            raise translate(error, self._url) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.terminate()  # which takes back a batch that is under way

    async def now(self) -> datetime:
        """Return the time by the clock of the database, by which ages become times."""
        async with self._use() as connection:
            moment: datetime = await connection.fetchval(statement("read_now"))
        return moment

    async def count(self, policy: PurgePolicy) -> builtins.list[Purgeable]:
        """Return what a policy covers, by status."""
        sql, values = narrowed(statement("count_purgeable"), policy.conditions(), [])
        async with self._use() as connection:
            return [Purgeable(*record) for record in await connection.fetch(sql, *values)]

    async def begin(self, policy: PurgePolicy, actor: str, reason: str | None = None) -> int:
        """Keep a policy with absolute times, before the first row is deleted by it, and return its id."""
        async with self._use() as connection:
            id_: int = await connection.fetchval(statement("begin_purge"), *policy.kept, actor, reason)
        return id_

    async def list(self, ids: Sequence[int] | None = None, *, limit: int = PURGES_MAX) -> builtins.list[Purge]:
        """Return the newest purges first, or those that are named."""
        return await self._list(ids, False, limit)

    async def standing(self) -> builtins.list[Purge]:
        """Return the purges that count: neither revoked nor covered by another one."""
        return await self._list(None, True, PURGES_MAX)

    async def _list(self, *asked: object) -> builtins.list[Purge]:
        async with self._use() as connection:
            return [_purge(record) for record in await connection.fetch(statement("list_purges"), *asked)]

    async def beside_a_replay(self) -> bool:
        """Return whether a replay holds a table of its own, with rows of its own."""
        async with self._use() as connection:
            return bool(await connection.fetchval(statement("relation_exists"), SCHEMA, "workflow_executions"))

    async def finish(self, id: int) -> None:  # noqa: A002 - the column's name
        """Note that a purge has deleted what it covers."""
        async with self._use() as connection:
            await connection.execute(statement("finish_purge"), id)

    async def revoke(self, id: int, actor: str) -> bool:  # noqa: A002 - the column's name
        """Let a purge cover nothing any more; return whether it did until now."""
        async with self._use() as connection:
            return bool(await connection.fetchval(statement("revoke_purge"), id, actor))

    async def page(self, policy: PurgePolicy, after: Place | None) -> builtins.list[Place]:
        """Return where the next executions stand that a policy covers."""
        async with self._use() as connection:
            return await page(connection, policy, after)

    async def delete(self, id: int, policy: PurgePolicy, ids: Sequence[UUID]) -> int:  # noqa: A002 - the column's name
        """Delete executions that a policy still covers and that nobody has locked; return how many that were.

        Raises:
            RevokedError: the purge was revoked; nothing was deleted.
            UnavailableError: it took long, or the database does not answer; nothing was deleted, or all of it.
        """
        async with self._use() as connection, connection.transaction():
            await connection.execute(statement("hurry_batch"), BATCH_TIMEOUT)
            if await connection.fetchval(statement("hold_purge"), id):
                msg = f"purge {id} was revoked"
                raise RevokedError(msg)
            if deleted := await delete(connection, policy, ids):
                await connection.execute(statement("note_purged"), id, deleted)
        return deleted

    @asynccontextmanager
    async def _use(self) -> AsyncIterator[Connection]:
        assert self._connection is not None, "it is used within its context"
        try:
            yield self._connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise translate(error, self._url) from error


def search(policy: PurgePolicy, after: Place | None) -> tuple[str, list[object]]:
    """Return the statement that finds the next executions that a policy covers, and its arguments."""
    column = "completed_at" if policy.deleted_before is None else "deleted_at"
    conditions = policy.conditions()
    if after is not None:
        conditions.append(Condition(f"{column}_above", after))
    sql = between_marks(statement("find_purgeable"), "time", f"e.{column}")
    sql = between_marks(sql, "order", f"e.{column}, e.id")
    return narrowed(sql, conditions, [PAGE_ROWS])


async def page(connection: Connection, policy: PurgePolicy, after: Place | None) -> list[Place]:
    """Return where the next executions stand that a policy covers, in the schema that the connection looks into."""
    sql, values = search(policy, after)
    return [Place(record["time"], record["id"]) for record in await connection.fetch(sql, *values)]


async def delete(connection: Connection, policy: PurgePolicy, ids: Sequence[UUID]) -> int:
    """Delete executions that a policy still covers and that nobody has locked; return how many that were."""
    sql, values = narrowed(statement("delete_purgeable"), policy.conditions(), [ids])
    deleted: int = await connection.fetchval(sql, *values)
    return deleted


def kept_policy(record: asyncpg.Record) -> PurgePolicy:
    """Return the policy in a row of `purges`."""
    return PurgePolicy(
        namespace=record["namespace"],
        workflows=record["workflows"],
        statuses=record["statuses"],
        ended_before=record["ended_before"],
        deleted_before=record["deleted_before"],
    )


def _purge(record: asyncpg.Record) -> Purge:
    names = ("id", "begun_at", "begun_by", "reason", "executions", "worked_at", "finished_at", "revoked_at")
    told = {name: record[name] for name in (*names, "revoked_by")}
    return Purge(policy=kept_policy(record), state=_state(record), **told)


def _state(record: asyncpg.Record) -> str:
    if record["revoked_at"] is not None:
        return "revoked"
    if record["finished_at"] is not None:
        return "finished"
    return "unfinished" if record["standing"] else "covered"
