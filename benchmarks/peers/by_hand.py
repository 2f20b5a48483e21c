"""A consumer as tutorials have it: one record, one statement, one commit of the database, and one of the offset.

With `--offsets-behind` offsets are committed every few seconds in the background, which a crash pays for with records
that come twice.
"""

from __future__ import annotations

import sys

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.peers.columns import columns
from benchmarks.peers.sink import Place
from benchmarks.peers.table import sql


async def consume(place: Place, *, offsets_behind: bool) -> None:
    """Apply records until the process is stopped."""
    connection = await asyncpg.connect(place.database_url)
    upsert = await connection.prepare(sql("upsert"))
    consumer = AIOKafkaConsumer(
        *place.topics,
        bootstrap_servers=place.servers,
        group_id=place.group,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=offsets_behind,
        max_partition_fetch_bytes=4_194_304,
    )
    await consumer.start()
    while True:
        record = await consumer.getone()
        await upsert.fetch(*columns(record.value))
        if not offsets_behind:
            await consumer.commit()


if __name__ == "__main__":
    uvloop.run(consume(Place.given(), offsets_behind="--offsets-behind" in sys.argv))
