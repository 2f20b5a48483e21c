"""Incidents: reading what the consumer found wrong with a log, and lifting the halt that it led to.

A halt is lifted by an operator who was shown where the partition stands. One transaction sets the position live again
(moved, where the operator gave something up), takes the claim away from whoever holds it, and resolves the incidents;
if anything is not as it was shown, nothing is done.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass, fields
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import asyncpg

from events.position import TopicPartition
from store.connect import connect_writer
from store.errors import StoreError
from store.failures import translate
from store.pool import ReadPool
from store.statements import statement

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

# resumed: read on at the same offset; accepted: the position was moved; noted: nothing was halted.
Resolution = Literal["resumed", "accepted", "noted"]


class NotAsShownError(StoreError):
    """The position or its incidents are not what the operator was shown; nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptIncident:
    """An incident, and where its partition stands now.

    Attributes:
        from_offset: the first offset that it is about, where there is one.
        to_offset: the first offset that it is not about any more, where that is known.
        resolution: how it was resolved; None while it is open.
        accepted_from: the position before an operator moved it.
        accepted_to: the position after that.
        state: of the partition: live, halted, or empty where nobody has a position.
        next_offset: the first offset of the partition that is not applied.
    """

    id: int
    kind: str
    consumer_group: str
    topic: str
    partition: int
    from_offset: int | None
    to_offset: int | None
    detail: str
    opened_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    resolution_reason: str | None
    accepted_from: int | None
    accepted_to: int | None
    state: str
    next_offset: int | None

    @property
    def open(self) -> bool:
        """Whether nobody has resolved it."""
        return self.resolved_at is None

    @property
    def halts(self) -> bool:
        """Whether it is open and its partition is halted."""
        return self.open and self.state == "halted"


@dataclass(frozen=True, slots=True)
class Standing:
    """A position as it is shown to an operator who decides about it.

    Attributes:
        next_offset: the first offset that is not applied.
        halted: whether an incident holds the partition.
        incidents: id and kind of every open incident, the oldest first.
    """

    consumer_group: str
    partition: TopicPartition
    next_offset: int
    halted: bool
    incidents: tuple[tuple[int, str], ...]


class IncidentReader:
    """Lists and shows incidents, and where partitions stand.

    Raises:
        UnavailableError: the database does not answer.
        MisconfiguredError: the database, a table or a right is missing.
    """

    def __init__(self, url: str) -> None:
        self._pool = ReadPool(url)

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)

    async def list(
        self,
        *,
        topic: str | None = None,
        partition: int | None = None,
        kind: str | None = None,
        resolved: bool = False,
        limit: int = 50,
    ) -> builtins.list[KeptIncident]:
        """Return the newest incidents first: the open ones, or with `resolved` those that are over as well."""
        async with self._pool.lend() as connection:
            records = await connection.fetch(statement("list_incidents"), topic, partition, kind, resolved, limit)
        return [_incident(record) for record in records]

    async def get(self, id: int) -> KeptIncident | None:  # noqa: A002 - the column's name
        """Return one incident, or None."""
        async with self._pool.lend() as connection:
            record = await connection.fetchrow(statement("get_incident"), id)
        return None if record is None else _incident(record)

    async def standing(self, consumer_group: str, partition: TopicPartition) -> Standing | None:
        """Return where a partition stands, or None where the group has no position in it."""
        async with self._pool.lend() as connection:
            record = await connection.fetchrow(
                statement("read_standing"), consumer_group, partition.topic, partition.partition
            )
        if record is None:
            return None
        incidents = tuple(zip(record["incident_ids"], record["incident_kinds"], strict=True))
        return Standing(consumer_group, partition, record["next_offset"], record["state"] == "halted", incidents)


async def resume(url: str, shown: Standing, *, actor: str, reason: str | None = None) -> None:
    """Let a halted partition be read on at the same offset.

    Raises:
        NotAsShownError: the partition is not halted, or not where it was shown.
        UnavailableError: the database does not answer.
        MisconfiguredError: the database, a table or a right is missing.
    """
    await _resolve(url, shown, "resumed", shown.next_offset, actor, reason)


async def accept(url: str, shown: Standing, next_offset: int, *, actor: str, reason: str | None = None) -> None:
    """Let a halted partition be read on from another offset; its last applied record is not compared any more.

    Raises:
        NotAsShownError: the partition is not halted, or not where it was shown.
        UnavailableError: the database does not answer.
        MisconfiguredError: the database, a table or a right is missing.
    """
    await _resolve(url, shown, "accepted", next_offset, actor, reason)


async def note(url: str, shown: Standing, *, actor: str, reason: str | None = None) -> None:
    """Resolve the incidents of a partition that is not halted; its position stays.

    Raises:
        NotAsShownError: there are other incidents than those that were shown.
        UnavailableError: the database does not answer.
        MisconfiguredError: the database, a table or a right is missing.
    """
    await _resolve(url, shown, "noted", shown.next_offset, actor, reason)


async def _resolve(
    url: str, shown: Standing, resolution: Resolution, next_offset: int, actor: str, reason: str | None
) -> None:
    connection: Connection | None = None
    try:
        connection = await connect_writer(url)
        async with connection.transaction():
            if resolution != "noted":
                await _set_live(connection, shown, next_offset, keep_anchor=resolution == "resumed")
            moved = (shown.next_offset, next_offset) if resolution == "accepted" else (None, None)
            records = await connection.fetch(
                statement("resolve_incidents"), *_key(shown), actor, resolution, reason, *moved
            )
            if {record["id"] for record in records} != {id_ for id_, _ in shown.incidents}:
                msg = f"{shown.partition} has other open incidents than those that were shown"
                raise NotAsShownError(msg)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise translate(error, url) from error
    finally:
        if connection is not None:
            await connection.close()


async def _set_live(connection: Connection, shown: Standing, next_offset: int, *, keep_anchor: bool) -> None:
    status = await connection.execute(
        statement("resume_position"), *_key(shown), shown.next_offset, next_offset, keep_anchor
    )
    if not status.endswith(" 1"):  # rows
        msg = f"{shown.partition} is not halted at {shown.next_offset} any more"
        raise NotAsShownError(msg)


def _key(shown: Standing) -> tuple[str, str, int]:
    return shown.consumer_group, shown.partition.topic, shown.partition.partition


def _incident(record: asyncpg.Record) -> KeptIncident:
    return KeptIncident(**{field.name: record[field.name] for field in fields(KeptIncident)})
