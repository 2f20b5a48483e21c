"""Records into a store as the consumer takes them there, beside five hundred good ones that must not notice."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from itertools import count
from typing import Protocol
from uuid import UUID, uuid4

import asyncpg

from consumer.batch import prepare
from consumer.chunk import Chunk, Prepared, Span
from consumer.record import Record
from events import ExecutionRow, encode
from events.position import TopicPartition
from events.row import row
from store import ExecutionReader
from store.batch import Batch, DeadLetter, LogRange, Store, WithheldPayload
from store.execution import execution
from tests.conformance.stores import KeptInMemory, KeptInPostgres, row_of
from tests.hostile.cases import Case, Outcome, Sent
from tests.lives import LIVES, life

GROUP = "hostile"
PARTITION = TopicPartition("executions", 0)
GOOD_RECORDS = 500
NOW_MS = 1_767_225_600_000

Change = tuple[str, str]


def _good() -> Iterable[bytes]:
    """The 56 lives of executions again and again, each time as runs of their own."""
    for copy in count():
        for number in range(1, len(LIVES) + 1):
            yield from map(encode, life(number, run=f"good-{number}-{copy}")[0])


GOOD = tuple(Sent(value) for value, _ in zip(_good(), range(GOOD_RECORDS), strict=False))


def scattered(sent: Sequence[Sent], seed: int) -> list[Sent]:
    """The good records with others among them, both in their own order."""
    places = sorted(random.Random(seed).sample(range(len(GOOD) + len(sent)), len(sent)))
    mixed = list(GOOD)
    for place, each in zip(places, sent, strict=True):
        mixed.insert(place, each)
    return mixed


def records(sent: Iterable[Sent], first_offset: int = 0) -> tuple[Record, ...]:
    """Records at the offsets in which they were sent."""
    return tuple(
        Record(offset, NOW_MS if each.timestamp_ms is None else each.timestamp_ms, each.key, each.value, each.headers)
        for offset, each in enumerate(sent, first_offset)
    )


def chunk_of(sent: Sequence[Sent], first_offset: int = 0) -> Chunk:
    """The records of one partition as a chunk."""
    span = Span(first_offset, first_offset + len(sent))
    return Chunk(1, {PARTITION: records(sent, first_offset)}, {PARTITION: span})


def prepared(chunk: Chunk) -> Prepared:
    """What a chunk's transaction writes."""
    done: list[Prepared] = []

    def to_the_end() -> Iterator[None]:
        done.append((yield from prepare(chunk)))

    deque(to_the_end(), maxlen=0)
    return done[0]


async def apply(store: Store, chunk: Chunk, work: Prepared) -> None:
    """Apply a chunk as the service does, under a claim of its own.

    Raises:
        RefusedError: a record poisons the batch.
    """
    token = uuid4()
    await store.claim(GROUP, {PARTITION: LogRange(0, 0)}, token, "tests")
    moves = chunk.moves({PARTITION: token})
    await store.apply(Batch(GROUP, moves, work.states, work.catalogue, work.dead_letters, work.withheld))


@cache
def good_work() -> Prepared:
    """The good records alone."""
    work = prepared(chunk_of(GOOD))
    assert (work.count("applied"), work.dead_letters, work.withheld) == (GOOD_RECORDS, [], [])
    return work


def expected_dead_letters(cases: Iterable[Case], partition: TopicPartition, read: Iterable[Record]) -> list[DeadLetter]:
    """The dead letters that cases leave of the records of a partition; their detail is for people."""
    dead = {_bytes(each): case for case in cases if case.outcome is Outcome.DEAD_LETTER for each in case.sent}
    return [
        DeadLetter(partition, r.offset, r.timestamp_ms, r.key, r.value, r.headers, case.reason, case.field)
        for r in read
        if (case := dead.get(_bytes(r)))
    ]


def expected_withheld(
    cases: Iterable[Case], partition: TopicPartition, read: Iterable[Record]
) -> list[WithheldPayload]:
    """The payloads that cases leave beside the table."""
    withheld = {_bytes(each): case for case in cases if case.outcome is Outcome.WITHHELD for each in case.sent}
    return [
        WithheldPayload(partition, r.offset, case.run.id, {case.field: case.reason}, r.value or b"")
        for r in read
        if (case := withheld.get(_bytes(r)))
    ]


def without_detail(letter: DeadLetter) -> DeadLetter:
    """A dead letter without what it says to people."""
    return replace(letter, detail="")


def _bytes(each: Sent | Record) -> tuple[object, ...]:
    return each.key, each.value, each.headers


class Table(Protocol):
    """A store whose good rows are remembered, so that one look tells whether they are the same."""

    @property
    def store(self) -> Store: ...
    async def changed(self) -> list[Change]: ...
    async def others(self) -> dict[UUID, ExecutionRow]: ...
    async def dead_letters(self) -> list[DeadLetter]: ...
    async def withheld(self) -> list[WithheldPayload]: ...
    async def forget(self) -> None: ...


class TableInMemory(KeptInMemory):
    """The table in a `MemoryStore`."""

    async def changed(self) -> list[Change]:
        """Name what is missing, and what differs from the good ones alone."""
        good, store = good_work(), self.store
        return [
            *(("execution", str(state.run)) for state in good.states if store.states.get(state.run.id) != state),
            *(
                ("workflow", str(k))
                for k, v in good.catalogue.workflows.items()
                if store.catalogue.workflows.get(k) != v
            ),
            *(("user", k) for k, v in good.catalogue.users.items() if store.catalogue.users.get(k) != v),
        ]

    async def others(self) -> dict[UUID, ExecutionRow]:
        """Return the rows of all other executions."""
        good = {state.run.id for state in good_work().states}
        return {id_: row(state) for id_, state in self.store.states.items() if id_ not in good}


class TableInPostgres(KeptInPostgres):
    """The table in a `PostgresStore`; the good rows lie beside it, to be compared by one query."""

    async def remember(self) -> None:
        """Apply the good records alone and keep what they give."""
        await apply(self.store, chunk_of(GOOD), good_work())
        for table in ("workflow_executions", "workflows", "users"):
            await self._connection.execute(f"CREATE TABLE good_{table} AS SELECT * FROM {table}")
        await self._connection.execute("ALTER TABLE good_workflow_executions DROP COLUMN applied_at")
        columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'good_workflow_executions'::regclass"
        found = await self._connection.fetch(f"{columns} AND attnum > 0 AND NOT attisdropped ORDER BY attnum")
        self._columns = ", ".join(r["attname"] for r in found)
        await self.forget()

    async def changed(self) -> list[Change]:
        """Name what is missing, and what differs from the good ones alone."""
        found = await self._connection.fetch(
            f"SELECT 'execution', run.temporal_run_id FROM (TABLE good_workflow_executions"
            f" EXCEPT SELECT {self._columns} FROM workflow_executions) AS run"
            " UNION ALL SELECT 'workflow', w.id FROM (TABLE good_workflows EXCEPT TABLE workflows) AS w"
            " UNION ALL SELECT 'user', u.id FROM (TABLE good_users EXCEPT TABLE users) AS u"
        )
        return [(r[0], r[1]) for r in found]

    async def others(self) -> dict[UUID, ExecutionRow]:
        """Return the rows of all other executions."""
        found = await self._connection.fetch(
            "SELECT * FROM execution_rows WHERE id NOT IN (SELECT id FROM good_workflow_executions)"
        )
        return {read.id: row_of(read) for read in map(execution, found)}

    async def forget(self) -> None:
        """Empty every table."""
        await super().forget()
        await self._connection.execute("DELETE FROM dead_letters; DELETE FROM withheld_payloads")


@asynccontextmanager
async def table_in_postgres(url: str) -> AsyncIterator[TableInPostgres]:
    """A table in an empty, migrated database."""
    connection = await asyncpg.connect(url)
    async with ExecutionReader.connect(url) as reader:
        table = TableInPostgres(url, connection, reader)
        try:
            await table.remember()
            yield table
        finally:
            await table.store.close()
            await connection.close()
