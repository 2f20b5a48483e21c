"""Where logs begin and end, asked by whoever consumes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from consumer.kafka_address import Kafka, address
from consumer.source import SourceError, unreachable
from events.position import TopicPartition


async def log_ends(bootstrap_servers: Kafka, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Return the end of every partition of some topics: the first offset that is not written yet.

    Raises:
        SourceError: no broker answers.
    """
    async with _asking(bootstrap_servers, *topics) as client:
        ends = await client.end_offsets(
            [KafkaPartition(t, n) for t in topics for n in client.partitions_for_topic(t) or ()]
        )
    return {TopicPartition(partition.topic, partition.partition): end for partition, end in ends.items()}


async def log_range(bootstrap_servers: Kafka, partition: TopicPartition) -> tuple[int, int] | None:
    """Return start and end of one partition's log, or None where Kafka has no such partition.

    Raises:
        SourceError: no broker answers.
    """
    async with _asking(bootstrap_servers) as client:
        if partition.topic not in await client.topics():
            return None  # asking for it by name might make it
    wanted = KafkaPartition(partition.topic, partition.partition)
    async with _asking(bootstrap_servers, partition.topic) as client:
        if partition.partition not in client.partitions_for_topic(partition.topic):
            return None
        starts, ends = await client.beginning_offsets([wanted]), await client.end_offsets([wanted])
    return starts[wanted], ends[wanted]


@asynccontextmanager
async def _asking(bootstrap_servers: Kafka, *topics: str) -> AsyncIterator[Any]:
    """Lend a client that belongs to no group and reads nothing, to ask about logs."""
    client = AIOKafkaConsumer(*topics, **address(bootstrap_servers).arguments, isolation_level="read_committed")
    try:
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            raise await unreachable(bootstrap_servers, f"Kafka does not answer: {error}") from error
        yield client
    except (KafkaError, OSError) as error:
        msg = f"the logs' starts and ends cannot be read: {error}"
        raise SourceError(msg) from error
    finally:
        await client.stop()
