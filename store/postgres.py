"""The store in PostgreSQL: one connection, one transaction per batch, the position guard first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from events.catalogue import Catalogue
from events.fold import FOLD_VERSION, REGISTERS, State
from events.identity import RunKey
from events.position import TopicPartition
from store.batch import Anchor, Applied, Batch, Claim, DeadLetter, Incident, LogRange, WithheldPayload, begins_late
from store.connect import connect_writer
from store.errors import FencedError, RefusedError, StoreError
from store.failures import translate
from store.statements import statement

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

CLOSE_TIMEOUT_SECONDS = 3.0


class PostgresStore:
    """A `Store` (see `store.batch`) over one dedicated connection, opened when first needed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None

    async def claim(
        self, consumer_group: str, logs: Mapping[TopicPartition, LogRange], token: UUID, owner: str
    ) -> dict[TopicPartition, Claim]:
        """Claim partitions; one without a row begins at its log's start."""
        async with self._use() as connection:
            return await claim(connection, consumer_group, logs, token, owner)

    async def read_claims(self, consumer_group: str) -> dict[TopicPartition, Claim]:
        """Return every position of a group."""
        async with self._use() as connection:
            return await read_claims(connection, consumer_group)

    async def apply(self, batch: Batch) -> Applied:
        """Move the positions and write their effects in one transaction."""
        async with self._use() as connection, connection.transaction():
            return await self._write(connection, batch)

    async def _write(self, connection: Connection, batch: Batch) -> Applied:
        return await write(connection, batch)

    async def halt(self, consumer_group: str, token: UUID, next_offset: int, incident: Incident) -> None:
        """Halt a partition that the caller holds, and record why."""
        partition = incident.partition
        async with self._use() as connection, connection.transaction():
            status = await connection.execute(
                statement("halt_position"), consumer_group, partition.topic, partition.partition, token, next_offset
            )
            if _count(status) != 1:
                msg = f"{partition} is not ours to halt at {next_offset}"
                raise FencedError(msg)
            await _record(connection, consumer_group, incident)

    async def release(self, consumer_group: str, token: UUID) -> None:
        """Give up all claims made with a token."""
        async with self._use() as connection:
            await connection.execute(statement("release_positions"), consumer_group, token)

    async def reset(self) -> None:
        """Forget the connection, so that the next call begins on a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def close(self) -> None:
        """Let go of the connection; never raises."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.close(timeout=CLOSE_TIMEOUT_SECONDS)
        except Exception:  # noqa: BLE001 - whatever is wrong with the connection, it is to end
            connection.terminate()

    @asynccontextmanager
    async def _use(self) -> AsyncIterator[Connection]:
        """Lend the connection; every failure leaves as an error of the store, and doubt costs the connection."""
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect_writer(self._url)
            yield self._connection
        except StoreError:
            raise
        except Exception as error:
            translated = translate(error, self._url)
            if not isinstance(translated, RefusedError):
                await self.reset()
            raise translated from error


async def claim(
    connection: Connection, consumer_group: str, logs: Mapping[TopicPartition, LogRange], token: UUID, owner: str
) -> dict[TopicPartition, Claim]:
    """Claim partitions in the schema that the connection's search_path names."""
    partitions = sorted(logs)
    records = await connection.fetch(
        statement("claim_positions"),
        consumer_group,
        token,
        owner,
        FOLD_VERSION,
        [p.topic for p in partitions],
        [p.partition for p in partitions],
        [logs[p].start for p in partitions],
        [logs[p].topic_id for p in partitions],
        [begins_late(p, logs[p].start).detail for p in partitions],
    )
    return _claims(records)


async def read_claims(connection: Connection, consumer_group: str) -> dict[TopicPartition, Claim]:
    """Return every position of a group, in the schema that the connection's search_path names."""
    return _claims(await connection.fetch(statement("read_positions"), consumer_group))


def _claims(records: list[asyncpg.Record]) -> dict[TopicPartition, Claim]:
    return {
        TopicPartition(r["topic"], r["partition"]): Claim(
            next_offset=r["next_offset"],
            token=r["claim_token"],
            halted=r["state"] == "halted",
            fold_version=r["fold_version"],
            anchor=None if r["anchor"] is None else Anchor(r["anchor_offset"], r["anchor"]),
            topic_id=r["topic_id"],
            begins_late=r.get("begins_late", False),
        )
        for r in records
    }


def _count(status: str) -> int:
    return int(status.rsplit(" ", 1)[1])


async def write(connection: Connection, batch: Batch) -> Applied:
    """Do what a batch says within the caller's transaction, in the schema that the connection's search_path names."""
    await _guard(connection, batch)
    await _merge_catalogue(connection, batch.catalogue)
    changed, contested = await _merge_states(connection, batch)
    await _keep_dead_letters(connection, batch)
    await _keep_withheld(connection, batch)
    return Applied(len(batch.states), changed, contested)


async def _guard(connection: Connection, batch: Batch) -> None:
    moves = sorted(batch.moves.items())
    moved = await connection.fetch(
        statement("move_positions"),
        batch.consumer_group,
        [partition.topic for partition, _ in moves],
        [partition.partition for partition, _ in moves],
        [move.token for _, move in moves],
        [move.from_offset for _, move in moves],
        [move.next_offset for _, move in moves],
        [move.anchor and move.anchor.offset for _, move in moves],
        [move.anchor and move.anchor.digest for _, move in moves],
    )
    if len(moved) != len(moves):
        lost = {partition for partition, _ in moves} - {TopicPartition(r["topic"], r["partition"]) for r in moved}
        msg = "not at the position or under the claim we believed: " + ", ".join(map(str, sorted(lost)))
        raise FencedError(msg)


async def _merge_catalogue(connection: Connection, catalogue: Catalogue) -> None:
    if catalogue.workflows:
        workflows = sorted(catalogue.workflows.items())
        await connection.execute(
            statement("merge_workflows"),
            [namespace for (namespace, _), _ in workflows],
            [id_ for (_, id_), _ in workflows],
            [entry.created_at for _, entry in workflows],
            [entry.name_order for _, entry in workflows],
            [entry.name for _, entry in workflows],
        )
    if catalogue.users:
        users = sorted(catalogue.users.items())
        await connection.execute(statement("merge_users"), [u for u, _ in users], [time for _, time in users])


async def _merge_states(connection: Connection, batch: Batch) -> tuple[int, int]:
    if not batch.states:
        return 0, 0
    merged = await connection.fetchrow(statement("merge_executions"), [incoming(state) for state in batch.states])
    assert merged is not None, "an aggregate has a row"
    return merged["changed"], merged["contested"]


def incoming(state: State) -> tuple[Any, ...]:
    """Return a state as PostgreSQL's composite type `incoming_execution`."""
    values: list[Any] = [state.run.id, *state.run, state.created_at, state.updated_at, *_EMPTY_REGISTERS]
    for name, cell in state.registers.items():
        values[_PLACES[name]] = (cell.order, *cell.values)
    return tuple(values)


def _places() -> dict[str, slice]:
    """Return where the order and the values of each register go."""
    places, at = {}, len(RunKey._fields) + 3  # id, created_at and updated_at
    for register in REGISTERS:
        end = at + 1 + len(register.columns)
        places[register.name] = slice(at, end)
        at = end
    return places


_PLACES = _places()
_EMPTY_REGISTERS = tuple(value for register in REGISTERS for value in (b"", *(None for _ in register.columns)))


async def _keep_dead_letters(connection: Connection, batch: Batch) -> None:
    if batch.dead_letters:
        await connection.executemany(
            statement("insert_dead_letter"),
            [_dead_letter(batch.consumer_group, letter) for letter in batch.dead_letters],
        )


def _dead_letter(consumer_group: str, letter: DeadLetter) -> tuple[Any, ...]:
    return (
        consumer_group,
        letter.partition.topic,
        letter.partition.partition,
        letter.offset,
        letter.timestamp_ms,
        letter.key,
        letter.value,
        [name.encode(errors="surrogateescape") for name, _ in letter.headers],
        [value for _, value in letter.headers],
        letter.reason,
        letter.field,
        letter.detail,
    )


async def _keep_withheld(connection: Connection, batch: Batch) -> None:
    if batch.withheld:
        await connection.executemany(
            statement("insert_withheld_payload"), [_withheld(batch.consumer_group, w) for w in batch.withheld]
        )


def _withheld(consumer_group: str, payload: WithheldPayload) -> tuple[Any, ...]:
    return (
        consumer_group,
        payload.partition.topic,
        payload.partition.partition,
        payload.offset,
        payload.execution_id,
        list(payload.codes),
        list(payload.codes.values()),
        payload.value,
    )


async def _record(connection: Connection, consumer_group: str, incident: Incident) -> None:
    await connection.execute(
        statement("insert_incident"),
        consumer_group,
        incident.kind,
        incident.partition.topic,
        incident.partition.partition,
        incident.from_offset,
        incident.to_offset,
        incident.detail,
    )
