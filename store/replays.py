"""A replay: a shadow that is built to take the table's place, its steps, and the exchange of the two.

The steps are kept in the shadow itself, so that they come and go with it. Each can be begun again after a kill: the
bulk is folded with positions of its own, indexes are made one by one, and what exchanges the tables is one transaction.
After the swap the shadow holds the old table, until it is dropped or exchanged back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from events.fold import FOLD_VERSION
from events.position import TopicPartition
from store import differences
from store.differences import Scope
from store.replay_scope import ReplayScope
from store.shadow import Shadow, Standing

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

SCHEMA = "wex_replay"


class Step(StrEnum):
    """What a replay does, in this order. What is kept is the last step that began and that is not over in a moment."""

    CREATE = "create"  # the schema, by the migrations
    FOLD = "fold"  # the bulk of the log
    CARRY = "carry"  # what the table knows and the log has no longer, and what is not to be rebuilt
    INDEX = "index"  # what was put off: indexes and foreign keys
    READY = "ready"  # to be looked at, and swapped
    CATCH_UP = "catch_up"  # what was applied meanwhile; the first step of a swap
    PURGE = "purge"  # what purges cover, that it does not come back with the shadow
    LOCK = "lock"  # nothing is applied from here on until the end of the swap
    EXCHANGE = "exchange"  # positions, rights, tables: everything but the end of the transaction
    SWAPPED = "swapped"  # the shadow holds the old table


@dataclass(frozen=True, slots=True)
class State:
    """Where a replay stands.

    Attributes:
        step: the last step that was kept.
        fold_version: of the fold that fills the shadow.
        table_in: the schema of the table whose place it is to take.
        scope: which executions are rebuilt.
        next_offsets: how far the shadow has folded each partition.
        carried: executions of the scope that were carried over.
        within: how many executions the scope has, where it leaves any out; none before the others are carried over.
    """

    step: Step
    fold_version: int
    table_in: str
    scope: ReplayScope
    started_at: datetime
    changed_at: datetime
    next_offsets: Mapping[TopicPartition, int]
    carried: int
    within: int

    @property
    def bulk(self) -> bool:
        """Whether the log is still folded for the scope alone."""
        return self.step in (Step.FOLD, Step.CARRY)


async def state(shadow: Shadow) -> State | None:
    """Return where the replay stands; None if there is none, or one that was killed before it began."""
    async with shadow.use() as connection:
        if not await connection.fetchval(shadow.sql("relation_exists"), shadow.schema, "replay"):
            return None
        found = await connection.fetchrow(shadow.sql("read_replay"))
        if found is None:
            return None
        positions = await connection.fetch(shadow.sql("read_shadow_positions"))
        carried = await connection.fetchval(shadow.sql("count_carried"))
        scope = ReplayScope.from_json(found["scope"])
        within = await connection.fetchval(shadow.sql("count_within")) if scope else 0
    offsets = {TopicPartition(r["topic"], r["partition"]): r["next_offset"] for r in positions}
    return State(
        Step(found["step"]),
        found["fold_version"],
        found["table_in"],
        scope,
        found["started_at"],
        found["changed_at"],
        offsets,
        carried,
        within,
    )


async def begin(shadow: Shadow, scope: ReplayScope) -> None:
    """Make the shadow; whatever was left of one that never began is dropped first."""
    await shadow.drop()
    await shadow.create(scratch=False)
    async with shadow.use() as connection, connection.transaction():
        await connection.execute(shadow.sql("create_carried"))
        await connection.execute(shadow.sql("create_redriven"))
        await connection.execute(shadow.sql("create_adopted"))
        await connection.execute(shadow.sql("create_within"))
        await connection.execute(shadow.sql("create_replay"))
        await connection.execute(shadow.sql("begin_replay"), Step.FOLD, FOLD_VERSION, shadow.live, scope.to_json())
        if not scope.topics:
            await connection.execute(shadow.sql("note_topics"))


async def move(shadow: Shadow, step: Step) -> None:
    """Keep that a step has begun."""
    async with shadow.use() as connection:
        await connection.execute(shadow.sql("move_replay"), step)


async def topics_noted(shadow: Shadow) -> bool:
    """Whether it is known which executions have an event in the topics of the scope."""
    async with shadow.use() as connection:
        return bool(await connection.fetchval(shadow.sql("relation_exists"), shadow.schema, "in_topics"))


async def note_topics(shadow: Shadow) -> None:
    """Note what was folded until now as the executions with an event in the topics of the scope."""
    async with shadow.use() as connection:
        await connection.execute(shadow.sql("note_topics"))


async def make_deferred(shadow: Shadow) -> None:
    """Make the indexes and foreign keys that were put off, each in a transaction of its own, and the statistics."""
    async with shadow.use() as connection:
        while await connection.fetchval(shadow.sql("count_deferred")):
            await connection.execute(shadow.sql("make_deferred"))
        await connection.execute(shadow.sql("analyze_shadow"))
        await connection.execute(shadow.sql("count_shadow"))


async def carry(shadow: Shadow) -> None:
    """Merge what the table knows and the log lacks into the shadow, and note whose rows those were."""
    await differences.find(shadow, Scope())
    async with shadow.use() as connection:
        await connection.execute(shadow.sql("note_carried"))
    await differences.carry(shadow)


async def carry_outside(shadow: Shadow, scope: ReplayScope) -> None:
    """Give the shadow what the table has outside of a scope; within a cut, in which both stand at the same offsets.

    Workflows and users stay what they are in the table, but the workflows of the scope, and those that the table lacks
    and a rebuilt execution needs.
    """
    bounds = (scope.executions, scope.workflows, scope.topics, scope.since, scope.until)
    async with shadow.use() as connection:
        await connection.execute(shadow.sql("note_within"), *bounds)
        await connection.execute(shadow.sql("delete_outside"))
        await connection.execute(shadow.sql("copy_workflows"), scope.workflows)
        await connection.execute(shadow.sql("copy_users"))
        await connection.execute(shadow.sql("copy_outside"))
        await connection.execute(shadow.sql("delete_unneeded_workflows"), scope.workflows)
        await connection.execute(shadow.sql("delete_unneeded_users"))


async def letters(shadow: Shadow) -> int:
    """Return how many records the fold of the shadow has refused of which the table has no open dead letter."""
    async with shadow.use() as connection:
        found: int = await connection.fetchval(shadow.sql("count_shadow_letters"))
    return found


async def carried(shadow: Shadow, limit: int) -> list[str]:
    """Return ids of executions that were carried over."""
    async with shadow.use() as connection:
        return [r["id"] for r in await connection.fetch(shadow.sql("list_carried"), limit)]


async def begun_at(shadow: Shadow) -> dict[TopicPartition, int]:
    """Return where the shadow was begun, of partitions where that was not at 0."""
    async with shadow.use() as connection:
        records = await connection.fetch(shadow.sql("read_shadow_starts"))
    return {TopicPartition(r["topic"], r["partition"]): r["to_offset"] for r in records}


async def rows(shadow: Shadow) -> tuple[int, int]:
    """Return how many executions the table has, and how many the shadow."""
    async with shadow.use() as connection:
        found = await connection.fetchrow(shadow.sql("count_rows"))
    assert found is not None, "an aggregate has a row"
    return found["table_rows"], found["shadow_rows"]


async def dependents(shadow: Shadow) -> list[str]:
    """Return what others have hung on the tables: it would stay with the old ones."""
    async with shadow.use() as connection:
        return [r["name"] for r in await connection.fetch(shadow.sql("read_dependents"))]


async def drop(shadow: Shadow) -> list[str]:
    """Drop the shadow, and return nothing; or return what lies outside of it and would be dropped together with it."""
    async with shadow.use() as connection, connection.transaction():
        await connection.execute(shadow.sql("lock_shadow"))
        outsiders = [r["name"] for r in await connection.fetch(shadow.sql("read_outsiders"))]
        if not outsiders:
            await connection.execute(shadow.sql("drop_shadow"))
    return outsiders


async def set_aside(shadow: Shadow) -> dict[TopicPartition, int]:
    """Return where the old table stood when it was swapped out."""
    async with shadow.use() as connection:
        found = await connection.fetch(shadow.sql("read_set_aside"))
    return {TopicPartition(r["topic"], r["partition"]): r["next_offset"] for r in found}


async def schemas(shadow: Shadow) -> tuple[dict[str, str], dict[str, str]]:
    """Return the migrations of the table and of the shadow: their checksums, by version."""
    async with shadow.use() as connection:
        found = await connection.fetch(shadow.sql("read_schemas"))
    table = {r["version"]: r["in_table"] for r in found if r["in_table"] is not None}
    return table, {r["version"]: r["in_shadow"] for r in found if r["in_shadow"] is not None}


async def redriven(shadow: Shadow) -> int:
    """Return how many dead letters were redriven into the table since the shadow was begun."""
    async with shadow.use() as connection:
        found: int = await connection.fetchval(shadow.sql("count_redriven"))
    return found


@asynccontextmanager
async def swapping(shadow: Shadow) -> AsyncIterator[dict[TopicPartition, Standing]]:
    """Exchange table and shadow at the end, in the transaction in which nothing is applied any more.

    The caller folds what lies between the shadow and the positions that it is given. Readers wait for the exchange
    alone; if one of them holds a table for long, nothing is done.

    Raises:
        UnavailableError: a reader held a table for long, or the database went away.
    """
    async with shadow.locked() as ends:
        await _lock_schema(shadow)
        yield ends
        async with shadow.use() as connection:
            await connection.execute(shadow.sql("set_aside_positions"))
            await connection.execute(shadow.sql("take_over_positions"), shadow.group, FOLD_VERSION)
            await connection.execute(shadow.sql("set_aside_letters"))
            await connection.execute(shadow.sql("reopen_dead_letters"))
            await connection.execute(shadow.sql("adopt_dead_letters"))
            await connection.execute(shadow.sql("adopt_withheld_payloads"))
            await _exchange(connection, shadow, Step.SWAPPED)


@asynccontextmanager
async def rolling_back(shadow: Shadow) -> AsyncIterator[None]:
    """Exchange the old table back at the end, in the transaction in which nothing is applied any more.

    Every group goes on where the old table stood.

    Raises:
        UnavailableError: a reader held a table for long, or the database went away.
    """
    async with shadow.locked():
        await _lock_schema(shadow)
        yield
        async with shadow.use() as connection:
            await connection.execute(shadow.sql("drop_new_positions"))
            await connection.execute(shadow.sql("restore_positions"))
            await connection.execute(shadow.sql("disown_dead_letters"))
            await connection.execute(shadow.sql("create_reopened"))
            await connection.execute(shadow.sql("close_reopened"))
            await connection.execute(shadow.sql("drop_set_aside"))
            await _exchange(connection, shadow, Step.READY)


async def _lock_schema(shadow: Shadow) -> None:
    """Let no migration be recorded, and no batch of a purge begin."""
    async with shadow.use() as connection:
        await connection.execute(shadow.sql("lock_schema"))
        await connection.execute(shadow.sql("lock_purges"))


async def lock_tables(shadow: Shadow) -> None:
    """Let nobody read the tables, or hang anything on them, until the exchange: the last thing before it.

    Raises:
        UnavailableError: a reader held a table for long.
    """
    async with shadow.use() as connection:
        await connection.execute(shadow.sql("hurry_locks"))
        await connection.execute(shadow.sql("lock_tables"))


async def _exchange(connection: Connection, shadow: Shadow, step: Step) -> None:
    await connection.execute(shadow.sql("copy_rights"))
    await connection.execute(shadow.sql("exchange"))
    await connection.execute(shadow.sql("move_replay"), step)
