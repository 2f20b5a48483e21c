"""Dead letters: reading the records that were set aside, redriving them into the table, and dropping their bytes."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import asyncpg

from store.batch import Batch
from store.errors import FencedError
from store.pool import ReadPool
from store.postgres import PostgresStore
from store.statements import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterSummary:
    """One line of the list of dead letters.

    Attributes:
        state: open, redriven (it is in the table, or was skipped), or purged (its bytes were dropped before that).
        redrives: how often somebody tried to redrive it.
        redrive_outcome: of the last try: applied, skipped, or the reason why it is still a dead letter.
    """

    id: int
    consumer_group: str
    topic: str
    partition: int
    offset: int
    reason: str
    field: str
    detail: str
    value_bytes: int | None
    first_seen_at: datetime
    state: str
    redrives: int
    redrive_outcome: str | None
    redrive_at: datetime | None
    redrive_by: str | None
    purged_at: datetime | None
    purged_by: str | None
    purge_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDeadLetter(DeadLetterSummary):
    """A dead letter with everything that was kept of its record."""

    record_timestamp_ms: int | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFilter:
    """Which dead letters are meant; what is None narrows nothing.

    Attributes:
        ids: only these.
        type: the event's type, looked for in the record's value and headers, whatever else is wrong with them.
        since: first seen at this time or later.
        until: first seen before this time.
        closed: those that are redriven or purged as well.
    """

    ids: tuple[int, ...] | None = None
    reason: str | None = None
    topic: str | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    closed: bool = False


EVERY_OPEN = DeadLetterFilter()


class DeadLetterReader:
    """Lists and shows dead letters.

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
        self, which: DeadLetterFilter = EVERY_OPEN, *, before: int | None = None, limit: int = 50
    ) -> builtins.list[DeadLetterSummary]:
        """Return the newest dead letters first, of those whose id is below `before` where that is given."""
        filters = (getattr(which, field.name) for field in fields(DeadLetterFilter))
        async with self._pool.lend() as connection:
            records = await connection.fetch(statement("list_dead_letters"), *filters, before, limit)
        return [DeadLetterSummary(**_fields(record)) for record in records]

    async def get(self, id: int) -> KeptDeadLetter | None:  # noqa: A002 - the column's name
        """Return one dead letter, or None."""
        found = await self.get_all([id])
        return found[0] if found else None

    async def get_all(self, ids: Sequence[int]) -> builtins.list[KeptDeadLetter]:
        """Return dead letters with their bytes, the newest first; those that are not there are left out."""
        async with self._pool.lend() as connection:
            records = await connection.fetch(statement("get_dead_letters"), ids)
        return [_kept(record) for record in records]


class DeadLetterStore(PostgresStore):
    """Redrives and purges dead letters; what it writes to the table goes the way of everything that is applied.

    Raises:
        UnavailableError: the database does not answer; nothing was written, or all of it.
        MisconfiguredError: the database, a table or a right is missing.
    """

    async def redrive(self, outcomes: Mapping[int, str], batch: Batch, actor: str) -> None:
        """Write what open letters hold and note that they are redriven, in one transaction.

        Args:
            outcomes: applied or skipped, by the letters' ids.
            batch: what they hold; it moves no position.
            actor: who does this.

        Raises:
            FencedError: one of them is not open any more; nothing was written.
            RefusedError: PostgreSQL refuses the content of one of them; nothing was written.
        """
        async with self._use() as connection, connection.transaction():
            noted = await connection.fetch(statement("note_redrives"), list(outcomes), list(outcomes.values()), actor)
            if len(noted) != len(outcomes):
                msg = "a dead letter is not open any more"
                raise FencedError(msg)
            await self._write(connection, batch)

    async def note_failures(self, reasons: Mapping[int, str], actor: str) -> None:
        """Note why open letters are still dead letters, by their ids."""
        async with self._use() as connection:
            await connection.fetch(statement("note_redrives"), list(reasons), list(reasons.values()), actor)

    async def purge(self, ids: Sequence[int], actor: str, reason: str | None) -> int:
        """Drop the bytes of letters and return of how many; their coordinates and their reasons stay."""
        async with self._use() as connection:
            return len(await connection.fetch(statement("purge_dead_letters"), ids, actor, reason))


def _kept(record: asyncpg.Record) -> KeptDeadLetter:
    keys = [key.decode(errors="surrogateescape") for key in record["header_keys"]]
    return KeptDeadLetter(
        **_fields(record),
        record_timestamp_ms=record["record_timestamp_ms"],
        key=record["key"],
        value=record["value"],
        headers=tuple(zip(keys, record["header_values"], strict=True)),
    )


def _fields(record: asyncpg.Record) -> dict[str, Any]:
    return {name: record[name] for name in DeadLetterSummary.__slots__}
