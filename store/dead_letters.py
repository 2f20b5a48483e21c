"""Reading dead letters: the records that were set aside, with their bytes."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import asyncpg

from store.pool import ReadPool
from store.statements import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterSummary:
    """One line of the list of dead letters."""

    id: int
    topic: str
    partition: int
    offset: int
    reason: str
    field: str
    detail: str
    value_bytes: int | None
    first_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDeadLetter(DeadLetterSummary):
    """A dead letter with everything that was kept of its record."""

    consumer_group: str
    record_timestamp_ms: int | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


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
        self, *, reason: str | None = None, topic: str | None = None, limit: int = 50
    ) -> builtins.list[DeadLetterSummary]:
        """Return the newest dead letters first."""
        async with self._pool.lend() as connection:
            records = await connection.fetch(statement("list_dead_letters"), reason, topic, limit)
        return [DeadLetterSummary(**_fields(record)) for record in records]

    async def get(self, id: int) -> KeptDeadLetter | None:  # noqa: A002 - the column's name
        """Return one dead letter, or None."""
        async with self._pool.lend() as connection:
            record = await connection.fetchrow(statement("get_dead_letter"), id)
        if record is None:
            return None
        keys = [key.decode(errors="surrogateescape") for key in record["header_keys"]]
        return KeptDeadLetter(
            **_fields(record),
            consumer_group=record["consumer_group"],
            record_timestamp_ms=record["record_timestamp_ms"],
            key=record["key"],
            value=record["value"],
            headers=tuple(zip(keys, record["header_values"], strict=True)),
        )


def _fields(record: asyncpg.Record) -> dict[str, Any]:
    return {name: record[name] for name in DeadLetterSummary.__slots__}
