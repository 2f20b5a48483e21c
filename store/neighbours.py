"""What stands beside an execution, and what stands out among all: trees, chains, the stuck, the frequent errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from events.identity import DEFAULT_NAMESPACE, execution_id
from events.position import Position
from store.asking import WAIT_SECONDS, Asking, checked_uuid
from store.conditions import Condition, narrowed
from store.execution import Execution, execution
from store.filters import Filter, check_number, check_text
from store.listing import LIMIT_MAX, this_moment
from store.statements import statement

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

DEPTH_MAX = 50  # generations; deeper is a loop in somebody's code
ERRORS_MAX = 100_000  # how many of the latest errors are looked at, so that the answer comes in time
A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """An execution in a tree or a chain.

    Attributes:
        depth: generations below the one that was asked for; in a chain, places behind it (before it: below 0).
    """

    depth: int
    execution: Execution


@dataclass(frozen=True, slots=True)
class Family:
    """A tree, each execution before its children; or a chain, from its first run to its last.

    Attributes:
        complete: whether all are there; otherwise a limit was reached.
    """

    relatives: tuple[Relative, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequentError:
    """Errors that are alike: of one type, with messages that differ in numbers and ids alone.

    Attributes:
        message: the first line, with `#` where they differ.
        workflows: how many workflows have it.
        latest_id: an execution that has it, the latest.
    """

    type: str | None
    message: str
    executions: int
    workflows: int
    first_at: datetime
    last_at: datetime
    latest_id: UUID


@dataclass(frozen=True, slots=True)
class TopErrors:
    """The most frequent errors.

    Attributes:
        considered: how many executions were looked at.
        complete: whether those are all; otherwise they are the latest.
    """

    errors: tuple[FrequentError, ...]
    considered: int
    complete: bool


class Neighbours(Asking):
    """Questions about what stands beside an execution, and about what stands out."""

    async def tree(
        self,
        id: UUID | str,  # noqa: A002 - the column's name
        limit: int = LIMIT_MAX,
        depth: int = 10,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        include_deleted: bool = False,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> Family | None:
        """Return an execution with its children, their children and so on; None if there is none.

        Generation by generation up to `limit` executions and `depth` generations, children by their start.
        """
        async with self._moment("read the tree", at_least, timeout) as connection:
            check_text("namespace", namespace)
            check_number("limit", limit, 1, LIMIT_MAX)
            check_number("depth", depth, 0, DEPTH_MAX)
            asked = namespace, checked_uuid(id), include_deleted, depth + 1, limit + 1
            links = await connection.fetch(statement("read_family"), *asked)
            near = [link for link in links[:limit] if link["depth"] <= depth]
            found = await _executions(connection, [link["id"] for link in near], namespace)
        if not near:
            return None
        return Family(_in_preorder(near, found), len(near) == len(links))

    async def chain(
        self,
        id: UUID | str,  # noqa: A002 - the column's name
        limit: int = 100,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        include_deleted: bool = False,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> Family | None:
        """Return the runs that retries, cron and continue-as-new have put before and behind one; None if there is none.

        Up to `limit` in each direction. A chain ends where a run is not known.
        """
        async with self._moment("read the chain", at_least, timeout) as connection:
            check_text("namespace", namespace)
            check_number("limit", limit, 1, LIMIT_MAX)
            runs = _Runs(connection, namespace, include_deleted)
            this = await runs.get(checked_uuid(id))
            if this is None:
                return None
            before, begun = await runs.walk(this, limit, runs.before)
            behind, ended = await runs.walk(this, limit, runs.behind)
            ids = [run["id"] for run in (*reversed(before), this, *behind)]
            found = await _executions(connection, ids, namespace)
        relatives = [Relative(depth=n - len(before), execution=found[id_]) for n, id_ in enumerate(ids)]
        return Family(tuple(relatives), begun and ended)

    async def top_errors(
        self,
        wanted: Filter | None = None,
        limit: int = 20,
        *,
        at_least: Position | None = None,
        timeout: float = WAIT_SECONDS,
    ) -> TopErrors:
        """Return the most frequent errors of the executions that a filter means: of the last day unless it is given."""
        async with self._query("count errors", at_least, timeout) as connection:
            check_number("limit", limit, 1, LIMIT_MAX)
            conditions = (wanted or Filter(completed_since=A_DAY)).conditions(this_moment())
            conditions += [Condition("ended"), Condition("with_error")]
            sql, arguments = narrowed(statement("top_errors"), conditions, [ERRORS_MAX, limit])
            records = await connection.fetch(sql, *arguments)
        considered = records[0]["considered"] if records else 0
        return TopErrors(tuple(map(_frequent, records)), considered, considered < ERRORS_MAX)


class _Runs:
    """The runs of a namespace, by the links between them."""

    def __init__(self, connection: Connection, namespace: str, include_deleted: bool) -> None:
        self._connection, self._namespace, self._include_deleted = connection, namespace, include_deleted

    async def get(self, id_: UUID) -> asyncpg.Record | None:
        return await self._connection.fetchrow(statement("read_run"), id_, self._namespace, self._include_deleted)

    async def behind(self, run: asyncpg.Record) -> asyncpg.Record | None:
        if run["next_run_id"] is None:
            return None
        return await self.get(execution_id(self._namespace, run["temporal_workflow_id"], run["next_run_id"]))

    async def before(self, run: asyncpg.Record) -> asyncpg.Record | None:
        names = run["temporal_workflow_id"], run["temporal_run_id"]
        return await self._connection.fetchrow(
            statement("read_run_before"), self._namespace, *names, self._include_deleted
        )

    async def walk(self, run: asyncpg.Record, limit: int, step: Any) -> tuple[list[asyncpg.Record], bool]:  # noqa: ANN401 - one of the two above
        """Return the runs that follow in a direction, and whether that was its end; a loop is followed once."""
        found: list[asyncpg.Record] = []
        seen = {run["id"]}
        while (run := await step(run)) is not None and run["id"] not in seen:
            if len(found) == limit:
                return found, False
            seen.add(run["id"])
            found.append(run)
        return found, True


async def _executions(connection: Connection, ids: Sequence[UUID], namespace: str) -> dict[UUID, Execution]:
    """Return executions by id, without their payloads; hidden ones too, for they were chosen already."""
    conditions = [Condition("namespace", (namespace,)), Condition("ids", (list(ids),))]
    sql, arguments = narrowed(statement("list_executions"), conditions, [False, max(1, len(ids)), 0])
    return {each.id: each for each in map(execution, await connection.fetch(sql, *arguments))}


def _in_preorder(links: Sequence[asyncpg.Record], found: dict[UUID, Execution]) -> tuple[Relative, ...]:
    children = defaultdict(list)
    for link in links:
        children[link["parent_id"]].append(link)
    ordered = []
    waiting = [links[0]]
    while waiting:
        link = waiting.pop()
        ordered.append(Relative(depth=link["depth"], execution=found[link["id"]]))
        waiting += reversed(children[link["id"]])
    return tuple(ordered)


def _frequent(record: asyncpg.Record) -> FrequentError:
    values = {name: record[name] for name in FrequentError.__dataclass_fields__}
    return FrequentError(**values | {"latest_id": UUID(int=record["latest_id"].int)})
