"""What differs between the table and a shadow: found by joins, kept in the shadow, and mended from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from uuid import UUID

from store.shadow import Shadow
from store.statements import statement

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

Kind = Literal["missing", "extra", "changed"]  # seen from the table: a row that it lacks, that it should not have, or
EXECUTIONS = ("workflow_executions",)
CATALOGUE = ("workflows", "users")
EVERYTHING = (*EXECUTIONS, *CATALOGUE)
NOT_COMPARED = {"applied_at"}  # the clock's, not the fold's
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)
PAGE_ROWS = 500

Key = tuple[str, ...]


class Scope(NamedTuple):
    """Which executions are compared; without bounds, all.

    Attributes:
        first_id: the least id.
        last_id: the greatest id.
        workflow_id: of this workflow alone.
        since: that began at this time or later.
    """

    first_id: UUID = FIRST_ID
    last_id: UUID = LAST_ID
    workflow_id: str | None = None
    since: datetime | None = None

    @property
    def all_ids(self) -> bool:
        """Whether ids have no bounds."""
        return (self.first_id, self.last_id) == (FIRST_ID, LAST_ID)


class Count(NamedTuple):
    """So many rows of a relation differ in the same way."""

    relation: str
    kind: Kind
    lacks: bool
    status_in_table: str | None
    status_in_log: str | None
    rows: int


class Covered(NamedTuple):
    """Executions of the log that a purge covers.

    Attributes:
        purged: that the table lacks, as it should.
        due: that the table has, as their events say: a purge has not come so far, or they came after it.
    """

    purged: int
    due: int


NOTHING_COVERED = Covered(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row that differs.

    Attributes:
        relation: the table that it belongs to.
        key: its primary key.
        lacks: the table knows something that the shadow does not.
        fields: column → what the table holds, and what the log says; of a changed row.
        table: the row in the table, empty if there is none.
        log: the row that the log gives, empty if there is none.
    """

    relation: str
    key: Key
    kind: Kind
    lacks: bool
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    table: Mapping[str, Any] = field(default_factory=dict)
    log: Mapping[str, Any] = field(default_factory=dict)


async def find(shadow: Shadow, scope: Scope) -> list[Count]:
    """Compare every column of every table that events feed; keep what differs in the shadow, and count it."""
    async with shadow.use() as connection:
        await connection.execute(shadow.sql("forget_differing"))
        await connection.execute(shadow.sql("find_differing_executions"), *scope)
        await connection.execute(shadow.sql("find_differing_workflows"), scope.workflow_id, scope.since)
        await connection.execute(shadow.sql("find_differing_users"), scope.since)
    return await count(shadow)


async def count_miscounted(shadow: Shadow) -> int:
    """Return how many counts of the statistics are not those of the executions."""
    async with shadow.use() as connection:
        return int(await connection.fetchval(shadow.sql("count_miscounted")))


async def mend_statistics(shadow: Shadow) -> None:
    """Count what is missing in the statistics."""
    async with shadow.use() as connection:
        await connection.execute(shadow.sql("mend_statistics"))


async def covered(shadow: Shadow, scope: Scope) -> Covered:
    """Count what purges cover; after `find`, at the same moment."""
    async with shadow.use() as connection:
        found = await connection.fetchrow(shadow.sql("count_covered"), *scope)
    assert found is not None, "an aggregate has a row"
    return Covered(found["purged"], found["due"])


async def count(shadow: Shadow) -> list[Count]:
    """Count what was found."""
    async with shadow.use() as connection:
        return [Count(*record) for record in await connection.fetch(shadow.sql("count_differing"))]


async def pages(
    shadow: Shadow, relations: Sequence[str] = EVERYTHING, *, lacks: bool | None = None
) -> AsyncIterator[list[Difference]]:
    """Yield what was found, without fields and rows, in pages: only what the table lacks or not, if that is said."""
    last: tuple[str | None, list[str] | None] = (None, None)
    while True:
        async with shadow.use() as connection:
            records = await connection.fetch(shadow.sql("list_differing"), *last, lacks, relations, PAGE_ROWS)
        if not records:
            return
        last = (records[-1]["relation"], records[-1]["key"])
        yield [
            Difference(relation=r["relation"], key=tuple(r["key"]), kind=r["kind"], lacks=r["lacks"]) for r in records
        ]


async def first(shadow: Shadow, limit: int, *, lacks: bool | None = None) -> list[Difference]:
    """Return the first of what was found, with fields and rows."""
    found: list[Difference] = []
    async for page in pages(shadow, lacks=lacks):
        found += page[: limit - len(found)]
        if len(found) >= limit:
            break
    return await _with_rows(shadow, found)


async def _with_rows(shadow: Shadow, found: Sequence[Difference]) -> list[Difference]:
    rows: dict[tuple[str, Key, bool], Mapping[str, Any]] = {}
    async with shadow.use() as connection:
        for relation in EVERYTHING:
            keys = [each.key for each in found if each.relation == relation]
            for swapped in (False, True):
                for key, row in (await _read(connection, shadow, relation, keys, swapped=swapped)).items():
                    rows[relation, key, swapped] = row
    return [_compared(each, rows) for each in found]


def _compared(found: Difference, rows: Mapping[tuple[str, Key, bool], Mapping[str, Any]]) -> Difference:
    table, log = (rows.get((found.relation, found.key, swapped), {}) for swapped in (False, True))
    names = [name for name in table if name in log and name not in NOT_COMPARED and table[name] != log[name]]
    fields = {name: (table[name], log[name]) for name in names}
    return Difference(
        relation=found.relation,
        key=found.key,
        kind=found.kind,
        lacks=found.lacks,
        fields=fields,
        table=table,
        log=log,
    )


async def _read(
    connection: Connection, shadow: Shadow, relation: str, keys: Sequence[Key], *, swapped: bool
) -> dict[Key, Mapping[str, Any]]:
    if relation == "workflow_executions":
        ids = [UUID(key[0]) for key in keys]
        records = await connection.fetch(shadow.sql("read_executions_by_id", swapped=swapped), ids)
        return {(str(r["id"]),): dict(r) for r in records}
    if relation == "workflows":
        columns = [key[0] for key in keys], [key[1] for key in keys]
        records = await connection.fetch(shadow.sql("read_workflows_by_key", swapped=swapped), *columns)
        return {(r["namespace"], r["id"]): dict(r) for r in records}
    records = await connection.fetch(shadow.sql("read_users_by_id", swapped=swapped), [key[0] for key in keys])
    return {(r["id"],): dict(r) for r in records}


async def mend(shadow: Shadow, found: Sequence[Difference]) -> None:
    """Give rows of the table what the shadow holds of them; within a transaction in which no consumer applies.

    Raises:
        RefusedError: a row of the shadow does not fit the table.
    """
    ids = [UUID(each.key[0]) for each in found if each.relation == "workflow_executions"]
    workflows = [each.key for each in found if each.relation == "workflows"]
    named = [key[0] for key in workflows], [key[1] for key in workflows]
    users = [each.key[0] for each in found if each.relation == "users"]
    async with shadow.use() as connection:
        await connection.execute(shadow.sql("put_workflows"), *named)
        await connection.execute(shadow.sql("put_users"), users)
        await connection.execute(shadow.sql("delete_executions"), ids)
        await connection.execute(shadow.sql("insert_from_shadow"), ids)
        await connection.execute(shadow.sql("delete_extra_workflows"), *named)
        await connection.execute(shadow.sql("delete_extra_users"), users)


async def count_executions(shadow: Shadow) -> int:
    """Return how many executions the table has."""
    async with shadow.use() as connection:
        return int(await connection.fetchval(shadow.sql("count_executions")))


async def carry(shadow: Shadow) -> int:
    """Merge what the table knows and the log lacks into the shadow; return how many executions that were."""
    carried = 0
    for relations in (CATALOGUE, EXECUTIONS):  # what executions point at comes first
        async for page in pages(shadow, relations, lacks=True):
            async with shadow.use() as connection, connection.transaction():
                await _carry(connection, shadow, page)
            carried += len(page) if relations is EXECUTIONS else 0
    return carried


async def _carry(connection: Connection, shadow: Shadow, page: Sequence[Difference]) -> None:
    rows = {
        relation: await _read(connection, shadow, relation, keys, swapped=False)
        for relation in CATALOGUE
        if (keys := [each.key for each in page if each.relation == relation])
    }
    workflows = [rows["workflows"][key] for key in sorted(rows.get("workflows", {}))]
    names = ("namespace", "id", "created_at", "name_order", "name")
    await connection.execute(statement("merge_workflows"), *([row[name] for row in workflows] for name in names))
    users = [rows["users"][key] for key in sorted(rows.get("users", {}))]
    await connection.execute(statement("merge_users"), *([row[name] for row in users] for name in ("id", "created_at")))
    ids = [UUID(each.key[0]) for each in page if each.relation == "workflow_executions"]
    records = await connection.fetch(shadow.sql("read_as_incoming"), ids)
    await connection.execute(statement("merge_executions"), [tuple(record["execution"]) for record in records])
