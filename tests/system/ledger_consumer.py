"""A consumer for fault tests: the real one, with a ledger that is not idempotent written in the same transaction.

Run as a process: it says `open` from within a transaction and stays there until it is killed, once it has committed
as many transactions as it was told; with none given it applies everything and ends.
"""

from __future__ import annotations

import asyncio
import os
import sys

import asyncpg

from consumer.service import Service
from consumer.source import Source
from store import PostgresStore
from store.batch import Applied, Batch

LEDGER = """
CREATE TABLE ledger (topic text, partition integer, "offset" bigint, owner text, transaction_id bigint);
CREATE TABLE counters (owner text, records bigint)
"""
ENTER = """
INSERT INTO ledger
SELECT $1, $2, generate_series($3::bigint, $4::bigint - 1), $5, txid_current()
"""


class LedgerStore(PostgresStore):
    """Writes down every offset it moves over; a record that is applied twice stands there twice."""

    def __init__(self, url: str, hold_after: int | None) -> None:
        super().__init__(url)
        self._left = hold_after

    async def _write(self, connection: asyncpg.Connection[asyncpg.Record], batch: Batch) -> Applied:
        applied = await super()._write(connection, batch)
        for partition, move in batch.moves.items():
            coordinates = (partition.topic, partition.partition, move.from_offset, move.next_offset)
            await connection.execute(ENTER, *coordinates, str(os.getpid()))
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                sys.stdout.write("open\n")
                sys.stdout.flush()
                await asyncio.Event().wait()
        return applied


async def main(servers: str, url: str, topic: str, hold_after: int | None) -> None:
    """Consume one topic."""
    service = Service(
        LedgerStore(url, hold_after),
        lambda assigned, revoked: Source(
            bootstrap_servers=servers,
            topics=(topic,),
            group=f"ledger-{topic}",
            session_timeout_ms=1_500,
            records_max=150,
            assigned=assigned,
            revoked=revoked,
        ),
        consumer_group="ledger",
        owner=str(os.getpid()),
        until_caught_up=hold_after is None,
    )
    problem = await service.run()
    assert not problem, problem


if __name__ == "__main__":
    _, servers, url, topic, hold_after = sys.argv
    asyncio.run(main(servers, url, topic, int(hold_after) if hold_after != "-" else None))
