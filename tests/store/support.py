"""A holder of a partition, and one face over what either store keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

from events import Event, ExecutionRow, State, merge, state_of
from events.catalogue import Catalogue
from events.position import TopicPartition
from store import MemoryStore, PostgresStore, Store
from store.batch import Anchor, Applied, Batch, Incident, Move
from tests import consuming

Workflows = dict[tuple[str, str], tuple[datetime, str | None]]
# Partition, offset, timestamp, key, value, headers, reason, field and detail.
Letter = tuple[Any, ...]


class Holder:
    """A consumer of one partition, as far as the store can tell."""

    def __init__(self, store: Store, partition: TopicPartition, group: str = "g") -> None:
        self.store, self.partition, self.group = store, partition, group
        self.token, self.offset = uuid4(), 0

    async def claim(self, log_start: int = 0) -> None:
        """Take the partition under a new token and stand where the row stands."""
        self.token = uuid4()
        claims = await self.store.claim(self.group, {self.partition: log_start}, self.token, "tests")
        self.offset = claims[self.partition].next_offset

    def move(self, records: int = 1, anchor: Anchor | None = None) -> Move:
        """A step from here over so many records."""
        return Move(self.token, self.offset, self.offset + records, anchor)

    def batch(self, events: Sequence[Event] = (), **kept: Any) -> Batch:
        """One batch that moves over one record and applies these events."""
        return Batch(self.group, {self.partition: self.move()}, states_of(events), Catalogue.of(events), **kept)

    async def write(self, *events: Event, **kept: Any) -> Applied:
        """Apply one batch and move on."""
        applied = await self.store.apply(self.batch(events, **kept))
        self.offset += 1
        return applied


def states_of(events: Iterable[Event]) -> list[State]:
    """One state per execution, sorted by nothing: a store must not need an order."""
    states: dict[UUID, State] = {}
    for event in events:
        state = state_of(event)
        held = states.get(event.execution_id)
        states[event.execution_id] = state if held is None else merge(held, state)
    return list(states.values())


class Kept(Protocol):
    """A store with a second one over the same data, and everything that was written."""

    @property
    def store(self) -> Store: ...
    @property
    def other(self) -> Store: ...
    async def rows(self) -> dict[UUID, ExecutionRow]: ...
    async def workflows(self) -> Workflows: ...
    async def users(self) -> dict[str, datetime]: ...
    async def letters(self) -> list[Letter]: ...
    async def withheld(self) -> list[tuple[Any, ...]]: ...
    async def incidents(self) -> list[Incident]: ...


class InMemory:
    """What a `MemoryStore` keeps."""

    def __init__(self) -> None:
        self.store = self.other = MemoryStore()

    async def rows(self) -> dict[UUID, ExecutionRow]:
        return self.store.rows()

    async def workflows(self) -> Workflows:
        return {key: (entry.created_at, entry.name) for key, entry in self.store.catalogue.workflows.items()}

    async def users(self) -> dict[str, datetime]:
        return dict(self.store.catalogue.users)

    async def letters(self) -> list[Letter]:
        return [
            (d.partition, d.offset, d.timestamp_ms, d.key, d.value, d.headers, d.reason, d.field, d.detail)
            for d in self.store.dead_letters
        ]

    async def withheld(self) -> list[tuple[Any, ...]]:
        return [(w.partition, w.offset, w.execution_id, dict(w.codes), w.value) for w in self.store.withheld]

    async def incidents(self) -> list[Incident]:
        return list(self.store.incidents)


class InPostgres:
    """What a `PostgresStore` keeps, read with plain SQL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store, self.other = PostgresStore(url), PostgresStore(url)

    async def rows(self) -> dict[UUID, ExecutionRow]:
        return await consuming.rows(self.url)

    async def workflows(self) -> Workflows:
        found = await consuming.fetch(self.url, "SELECT * FROM workflows")
        return {(r["namespace"], r["id"]): (r["created_at"], r["name"]) for r in found}

    async def users(self) -> dict[str, datetime]:
        return {r["id"]: r["created_at"] for r in await consuming.fetch(self.url, "SELECT * FROM users")}

    async def letters(self) -> list[Letter]:
        found = await consuming.fetch(self.url, "SELECT * FROM dead_letters ORDER BY id")
        return [
            (
                TopicPartition(r["topic"], r["partition"]),
                r["offset"],
                r["record_timestamp_ms"],
                r["key"],
                r["value"],
                tuple((k.decode(errors="surrogateescape"), v) for k, v in zip(r[8], r[9], strict=True)),
                r["reason"],
                r["field"],
                r["detail"],
            )
            for r in found
        ]

    async def withheld(self) -> list[tuple[Any, ...]]:
        found = await consuming.fetch(self.url, "SELECT * FROM withheld_payloads ORDER BY id")
        return [
            (
                TopicPartition(r["topic"], r["partition"]),
                r["offset"],
                r["execution_id"],
                dict(zip(r["fields"], r["codes"], strict=True)),
                r["value"],
            )
            for r in found
        ]

    async def incidents(self) -> list[Incident]:
        found = await consuming.fetch(self.url, "SELECT * FROM incidents ORDER BY id")
        return [
            Incident(
                r["kind"], TopicPartition(r["topic"], r["partition"]), r["from_offset"], r["to_offset"], r["detail"]
            )
            for r in found
        ]


@asynccontextmanager
async def in_postgres(url: str) -> AsyncIterator[InPostgres]:
    """Two stores over one database, closed at the end."""
    kept = InPostgres(url)
    try:
        yield kept
    finally:
        await kept.store.close()
        await kept.other.close()
