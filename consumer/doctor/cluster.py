"""What Kafka says about itself and about some topics, for those who look for what is wrong. Nothing is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError, for_code

from consumer.kafka_address import Kafka, KafkaAddress, address
from consumer.source import unreachable
from consumer.topic_ids import TopicIds
from events.position import TopicPartition
from events.publisher.delivery import partition_of
from store.batch import LogRange

TIMEOUT_SECONDS = 20.0  # for everything together
SAMPLE_SECONDS = 3.0
SAMPLED_PARTITIONS_MAX = 32
CONFIGS = ("cleanup.policy", "retention.ms", "retention.bytes")


@dataclass(frozen=True, slots=True)
class Sample:
    """The last record of a partition: when it was written, and whether its key belongs there."""

    timestamp_ms: int
    key_belongs: bool | None  # None: it has no key


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What was found about a topic.

    Attributes:
        replicas: of the partition that has the fewest.
        under_replicated: partitions of which a replica is behind.
        configs: by name; empty where they may not be read.
        readable: whether its records may be read.
        logs: where its partitions begin and end, and the id that Kafka gave it.
    """

    partitions: int
    replicas: int
    under_replicated: int
    configs: Mapping[str, str]
    readable: bool
    logs: Mapping[TopicPartition, LogRange] = field(default_factory=dict)
    samples: Mapping[TopicPartition, Sample] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What was found.

    Attributes:
        topics: by name; None where there is no such topic.
        group_allowed: whether the consumer group may be used.
    """

    brokers: int
    topics: Mapping[str, TopicFacts | None]
    group_allowed: bool


async def look(bootstrap_servers: Kafka, topics: Iterable[str], group: str) -> ClusterFacts:
    """Ask Kafka.

    Raises:
        SourceError: it does not answer.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await _look(address(bootstrap_servers), list(topics), group)
    except TimeoutError:
        said = f"Kafka at {bootstrap_servers} did not answer within {TIMEOUT_SECONDS:g} s"
        raise await unreachable(bootstrap_servers, said) from None
    except (KafkaError, OSError) as error:
        said = f"Kafka at {bootstrap_servers} does not answer: {str(error) or type(error).__name__}"
        raise await unreachable(bootstrap_servers, said) from error


async def _look(servers: KafkaAddress, topics: list[str], group: str) -> ClusterFacts:
    admin = AIOKafkaAdminClient(**servers.arguments)
    try:
        await admin.start()
        brokers = len((await admin.describe_cluster())["brokers"])
        existing = [topic for topic in await admin.list_topics() if topic in topics]  # asking by name might make it
        described = {each["topic"]: each for each in (await admin.describe_topics(existing) if existing else [])}
        found = {topic: await _topic(admin, servers, described.get(topic)) for topic in topics}
        return ClusterFacts(brokers, found, await _group_allowed(admin, group))
    finally:
        await admin.close()


async def _topic(
    admin: AIOKafkaAdminClient, servers: KafkaAddress, described: dict[str, Any] | None
) -> TopicFacts | None:
    if described is None or for_code(described["error_code"]) is TopicAuthorizationFailedError:
        return None
    name, partitions = described["topic"], described["partitions"]
    behind = sum(len(each["isr"]) < len(each["replicas"]) for each in partitions)
    replicas = min(len(each["replicas"]) for each in partitions)
    try:
        logs, samples = await _records(servers, [KafkaPartition(name, each["partition"]) for each in partitions])
    except TopicAuthorizationFailedError:
        return TopicFacts(len(partitions), replicas, behind, await _configs(admin, name), readable=False)
    configs = await _configs(admin, name)
    return TopicFacts(len(partitions), replicas, behind, configs, readable=True, logs=logs, samples=samples)


async def _configs(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    asked = ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(CONFIGS))
    found: dict[str, str] = {}
    for response in await admin.describe_configs([asked]):
        for *_, entries in response.resources:
            found |= {name: value or "" for name, value, *_ in entries}
    return found


async def _group_allowed(admin: AIOKafkaAdminClient, group: str) -> bool:
    try:
        await admin.list_consumer_group_offsets(group)
    except KafkaError as error:
        # A cluster that never had a group makes its topic of groups when it is first asked, and says to ask again.
        if isinstance(error, GroupAuthorizationFailedError) or not error.retriable:
            return False
    return True


async def _records(
    servers: KafkaAddress, partitions: list[KafkaPartition]
) -> tuple[dict[TopicPartition, LogRange], dict[TopicPartition, Sample]]:
    """Return the logs' starts and ends, and the last record of the first partitions; a member of no group."""
    client = AIOKafkaConsumer(**servers.arguments, enable_auto_commit=False, max_partition_fetch_bytes=65_536)
    try:
        await client.start()
        client.assign(partitions)
        starts, ends = await client.beginning_offsets(partitions), await client.end_offsets(partitions)
        ids = await TopicIds(client._client).of(partitions)  # noqa: SLF001 - as the source does
        logs = {_ours(each): LogRange(starts[each], ends[each], ids.get(each)) for each in partitions}
        return logs, await _samples(
            client, [each for each in partitions if starts[each] < ends[each]], ends, partitions
        )
    finally:
        await client.stop()


async def _samples(
    client: AIOKafkaConsumer, filled: list[KafkaPartition], ends: dict[KafkaPartition, int], every: list[KafkaPartition]
) -> dict[TopicPartition, Sample]:
    wanted = filled[:SAMPLED_PARTITIONS_MAX]
    numbers = [each.partition for each in every]
    client.assign(wanted)
    for each in wanted:
        client.seek(each, ends[each] - 1)
    samples: dict[TopicPartition, Sample] = {}
    deadline = asyncio.get_running_loop().time() + SAMPLE_SECONDS
    while len(samples) < len(wanted) and asyncio.get_running_loop().time() < deadline:
        for partition, records in (await client.getmany(timeout_ms=300)).items():
            last = records[-1]
            belongs = None if last.key is None else partition_of(last.key, numbers, numbers) == partition.partition
            samples[_ours(partition)] = Sample(last.timestamp, belongs)
    return samples


def _ours(partition: KafkaPartition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.partition)
