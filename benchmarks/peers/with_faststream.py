"""FastStream, reading batches: one transaction and one `executemany` for each, offsets after it.

Its own decoding and its injection of arguments are switched off, and batches are deep: both make it faster.
"""

from __future__ import annotations

import sys

import asyncpg
import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker

from benchmarks.peers.columns import columns
from benchmarks.peers.sink import Place
from benchmarks.peers.table import sql

BATCH = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000  # records


async def consume(place: Place) -> None:
    """Apply batches until the process is stopped."""
    connection = await asyncpg.connect(place.database_url)
    broker = KafkaBroker(place.servers, apply_types=False, logger=None)

    @broker.subscriber(
        *place.topics,
        batch=True,
        group_id=place.group,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_records=BATCH,
        max_partition_fetch_bytes=4_194_304,
        ack_policy=AckPolicy.ACK,
        decoder=lambda message: message.body,
    )
    async def apply(values: list[bytes]) -> None:
        async with connection.transaction():
            await connection.executemany(sql("upsert"), [columns(value) for value in values])

    await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    uvloop.run(consume(Place.given()))
