"""The two stores behind one face: a writer, a second writer over the same data, and everything that was written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

import asyncpg

from events import Event, ExecutionRow, State
from events.catalogue import Catalogue
from events.fold import merge, state_of
from events.position import TopicPartition
from store import Execution, ExecutionReader, MemoryStore, PostgresStore, Store
from store.batch import Anchor, Applied, Batch, DeadLetter, Incident, LogRange, Move, WithheldPayload
from store.listing import LIMIT_MAX

Workflows = dict[tuple[str, str], tuple[datetime, str | None]]


class Kept(Protocol):
    """A store under test, with a second writer as another process would have one."""

    @property
    def store(self) -> Store: ...
    @property
    def other(self) -> Store: ...
    async def rows(self) -> dict[UUID, ExecutionRow]: ...
    async def workflows(self) -> Workflows: ...
    async def users(self) -> dict[str, datetime]: ...
    async def dead_letters(self) -> list[DeadLetter]: ...
    async def withheld(self) -> list[WithheldPayload]: ...
    async def incidents(self) -> list[Incident]: ...
    async def forget(self) -> None: ...


class KeptInMemory:
    """What a `MemoryStore` keeps; the second writer is the store itself."""

    def __init__(self) -> None:
        self.store = self.other = MemoryStore()

    async def rows(self) -> dict[UUID, ExecutionRow]:
        return self.store.rows()

    async def workflows(self) -> Workflows:
        return {key: (entry.created_at, entry.name) for key, entry in self.store.catalogue.workflows.items()}

    async def users(self) -> dict[str, datetime]:
        return dict(self.store.catalogue.users)

    async def dead_letters(self) -> list[DeadLetter]:
        return list(self.store.dead_letters)

    async def withheld(self) -> list[WithheldPayload]:
        return list(self.store.withheld)

    async def incidents(self) -> list[Incident]:
        return list(self.store.incidents)

    async def forget(self) -> None:
        self.store = self.other = MemoryStore()


class KeptInPostgres:
    """What a `PostgresStore` keeps, read by readers' own means where there are any."""

    def __init__(self, url: str, connection: asyncpg.Connection[asyncpg.Record], reader: ExecutionReader) -> None:
        self.store = PostgresStore(url)
        self.other = PostgresStore(url)
        self._connection = connection
        self._reader = reader

    async def rows(self) -> dict[UUID, ExecutionRow]:
        found: dict[UUID, ExecutionRow] = {}
        for namespace in [
            r["namespace"] for r in await self._fetch("SELECT DISTINCT namespace FROM workflow_executions")
        ]:
            page = await self._reader.list(
                None, LIMIT_MAX, namespace=namespace, include_deleted=True, include_payloads=True
            )
            found |= {execution.id: row_of(execution) for execution in page}
        return found

    async def workflows(self) -> Workflows:
        records = await self._fetch("SELECT * FROM workflows")
        return {(r["namespace"], r["id"]): (r["created_at"], r["name"]) for r in records}

    async def users(self) -> dict[str, datetime]:
        return {r["id"]: r["created_at"] for r in await self._fetch("SELECT * FROM users")}

    async def dead_letters(self) -> list[DeadLetter]:
        return [_dead_letter(r) for r in await self._fetch("SELECT * FROM dead_letters ORDER BY id")]

    async def withheld(self) -> list[WithheldPayload]:
        return [_withheld(r) for r in await self._fetch("SELECT * FROM withheld_payloads ORDER BY id")]

    async def incidents(self) -> list[Incident]:
        return [
            Incident(
                r["kind"], TopicPartition(r["topic"], r["partition"]), r["from_offset"], r["to_offset"], r["detail"]
            )
            for r in await self._fetch("SELECT * FROM incidents ORDER BY id")
        ]

    async def forget(self) -> None:
        await self._connection.execute(
            "DELETE FROM workflow_executions; DELETE FROM workflows; DELETE FROM users; DELETE FROM positions"
        )

    async def _fetch(self, sql: str) -> list[asyncpg.Record]:
        return await self._connection.fetch(sql)


@asynccontextmanager
async def kept_in_postgres(url: str) -> AsyncIterator[KeptInPostgres]:
    """A store in an empty, migrated database."""
    connection = await asyncpg.connect(url)
    async with ExecutionReader.connect(url) as reader:
        kept = KeptInPostgres(url, connection, reader)
        try:
            yield kept
        finally:
            await kept.store.close()
            await kept.other.close()
            await connection.close()


def row_of(execution: Execution) -> ExecutionRow:
    """The row that the fold gives, without what the store adds."""
    return ExecutionRow(**{f.name: getattr(execution, f.name) for f in fields(ExecutionRow)})


def states_of(events: Sequence[Event]) -> list[State]:
    """Events folded into one state per execution."""
    states: dict[UUID, State] = {}
    for event in events:
        state = state_of(event)
        states[event.execution_id] = merge(states.get(event.execution_id, state), state)
    return list(states.values())


class Writer:
    """A consumer of one partition, as far as the store can tell."""

    def __init__(self, store: Store, group: str, partition: TopicPartition) -> None:
        self.store, self.group, self.partition = store, group, partition
        self.token = uuid4()
        self.offset = 0

    async def claim(self, log_start: int = 0) -> None:
        """Claim the partition under a new token and stand where the table stands."""
        self.token = uuid4()
        claims = await self.store.claim(
            self.group, {self.partition: LogRange(log_start, log_start)}, self.token, "tests"
        )
        self.offset = claims[self.partition].next_offset

    def move(self, records: int = 1, anchor: Anchor | None = None) -> Move:
        """The step over so many records from where the writer stands."""
        return Move(self.token, self.offset, self.offset + records, anchor)

    async def write(self, events: Sequence[Event] = (), **effects: Any) -> Applied:
        """Apply a batch of events, one record each, and any other effects."""
        move = self.move(max(1, len(events)))
        catalogue = Catalogue.of(events)
        batch = Batch(self.group, {self.partition: move}, states_of(events), catalogue, **effects)
        applied = await self.store.apply(batch)
        self.offset = move.next_offset
        return applied


def _dead_letter(r: asyncpg.Record) -> DeadLetter:
    keys = [key.decode(errors="surrogateescape") for key in r["header_keys"]]
    headers = tuple(zip(keys, r["header_values"], strict=True))
    return DeadLetter(
        TopicPartition(r["topic"], r["partition"]),
        r["offset"],
        r["record_timestamp_ms"],
        r["key"],
        r["value"],
        headers,
        r["reason"],
        r["field"],
        r["detail"],
    )


def _withheld(r: asyncpg.Record) -> WithheldPayload:
    codes = dict(zip(r["fields"], r["codes"], strict=True))
    execution_id = UUID(int=r["execution_id"].int)
    return WithheldPayload(TopicPartition(r["topic"], r["partition"]), r["offset"], execution_id, codes, r["value"])
