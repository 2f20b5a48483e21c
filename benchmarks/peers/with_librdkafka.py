"""librdkafka, the fastest client there is: deep batches, the last word on each execution by COPY, and one merge.

The next batch is taken while PostgreSQL works on the last, and offsets are committed behind each transaction.
"""

from __future__ import annotations

import asyncio
import sys

import asyncpg
import uvloop
from confluent_kafka import Consumer, Message, TopicPartition

from benchmarks.peers.columns import Columns, columns, overwrite
from benchmarks.peers.sink import Place
from benchmarks.peers.table import sql

BATCH = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000  # records
WAIT_SECONDS = 0.05  # for a batch that is not full


def latest(messages: list[Message]) -> list[Columns]:
    """Return one row for each execution: what a batch says of it, later records over earlier ones."""
    rows: dict[str, Columns] = {}
    for message in messages:
        value = message.value()
        assert isinstance(value, bytes), "the workload has no empty records"
        told = columns(value)
        held = rows.get(told.id)
        rows[told.id] = told if held is None else overwrite(held, told)
    return list(rows.values())


def ends(messages: list[Message]) -> list[TopicPartition]:
    """Return the offsets behind a batch."""
    behind: dict[tuple[str, int], int] = {}
    for message in messages:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if topic is not None and partition is not None and offset is not None:  # a record has a place
            behind[topic, partition] = offset + 1
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in behind.items()]


async def apply(connection: asyncpg.Connection[asyncpg.Record], rows: list[Columns]) -> None:
    """Write a batch in one transaction."""
    async with connection.transaction():
        await connection.copy_records_to_table("incoming", records=rows, columns=Columns._fields)
        await connection.execute(sql("merge"))


async def consume(place: Place) -> None:
    """Apply batches until the process is stopped."""
    connection = await asyncpg.connect(place.database_url)
    await connection.execute(sql("incoming"))
    consumer = Consumer(
        {
            "bootstrap.servers": place.servers,
            "group.id": place.group,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "max.partition.fetch.bytes": 4_194_304,
            "queued.max.messages.kbytes": 262_144,
        }
    )
    consumer.subscribe(list(place.topics))
    unwritten = asyncio.get_running_loop().create_task(asyncio.sleep(0))
    while True:
        messages = await asyncio.to_thread(consumer.consume, BATCH, WAIT_SECONDS)
        messages = [message for message in messages if not message.error()]
        rows = await asyncio.to_thread(latest, messages)
        await unwritten
        if not rows:
            continue
        unwritten = asyncio.create_task(_written(consumer, connection, rows, ends(messages)))


async def _written(
    consumer: Consumer,
    connection: asyncpg.Connection[asyncpg.Record],
    rows: list[Columns],
    behind: list[TopicPartition],
) -> None:
    await apply(connection, rows)
    consumer.commit(offsets=behind, asynchronous=True)


if __name__ == "__main__":
    uvloop.run(consume(Place.given()))
