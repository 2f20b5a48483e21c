"""The ledger: what every transaction did, written by itself, with nothing in it that forgives a repetition."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import asyncpg

from consumer.chunk import Chunk
from consumer.service import Service
from consumer.work import ApplyChunk
from store.batch import Applied, Batch
from store.postgres import PostgresStore

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

# No constraint on purpose. A step says what a position moved over, a row of the ledger which record was applied.
TABLES = """
CREATE TABLE ledger (partition integer, "offset" bigint, owner integer, xact bigint){tablespace};
CREATE TABLE steps (partition integer, from_offset bigint, next_offset bigint, owner integer, xact bigint){tablespace}
"""
ENTER = """
INSERT INTO ledger SELECT r.*, $3, pg_current_xact_id()::text::bigint FROM unnest($1::integer[], $2::bigint[]) AS r
"""
STEP = """
INSERT INTO steps
SELECT s.*, $4, pg_current_xact_id()::text::bigint FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS s
"""
MOVE_BLINDLY = "UPDATE positions SET next_offset = $3 WHERE topic = $1 AND partition = $2"


class LedgerStore(PostgresStore):
    """The real store, and in its transaction the ledger of the chunk that the service applies."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.chunk: Chunk | None = None

    async def _write(self, connection: Connection, batch: Batch) -> Applied:
        applied = await super()._write(connection, batch)
        assert self.chunk is not None, "the service says what it applies"
        entered = [(tp.partition, r.offset) for tp, records in self.chunk.records.items() for r in records]
        steps = [(tp.partition, move.from_offset, move.next_offset) for tp, move in batch.moves.items()]
        await connection.execute(ENTER, [p for p, _ in entered], [offset for _, offset in entered], os.getpid())
        await connection.execute(STEP, *([step[n] for step in steps] for n in range(3)), os.getpid())
        return applied


class LedgerService(Service):
    """The real service, which tells its store the records of a chunk; one chunk is applied at a time."""

    async def _apply(self, work: ApplyChunk) -> None:
        assert isinstance(self._store, LedgerStore), "the two go together"
        self._store.chunk = work.chunk
        await super()._apply(work)


async def move_blindly(connection: Connection, batch: Batch) -> None:
    """The guard of a consumer that trusts Kafka about whose a partition is: none. The campaign must catch it."""
    for partition, move in batch.moves.items():
        await connection.execute(MOVE_BLINDLY, partition.topic, partition.partition, move.next_offset)
