"""What Kafka says about itself and about some topics, for those who look for what is wrong. Nothing is changed."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest

from consumer.kafka_address import Kafka, KafkaAddress, address
from consumer.source import unreachable
from consumer.topic_ids import TopicIds
from events.position import TopicPartition
from events.publisher.delivery import partition_of
from store.batch import LogRange

TIMEOUT_SECONDS = 20.0  # for everything together
CERTIFICATE_SECONDS = 5.0
GROUP_SECONDS = 3.0
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
        topics: by name; None where there is no such topic, or it may not be seen.
        hidden: those that may not be seen.
        group_lacks: the right on the consumer group that is missing; READ includes DESCRIBE.
        certificate_days: how long the certificates of the brokers hold, by host:port; only where there is TLS.
    """

    brokers: int
    topics: Mapping[str, TopicFacts | None]
    hidden: frozenset[str] = frozenset()
    group_lacks: Literal["", "DESCRIBE", "READ"] = ""
    certificate_days: Mapping[str, float] = field(default_factory=dict)


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
        brokers = (await admin.describe_cluster())["brokers"]
        request = MetadataRequest(topics, allow_auto_topic_creation=False)
        answer = await admin._send_request(request)  # noqa: SLF001 - the public call has the broker make the topics
        described = {each["topic"]: each for each in answer.to_object()["topics"]}
        hidden = TopicAuthorizationFailedError.errno
        return ClusterFacts(
            len(brokers),
            {topic: await _topic(admin, servers, described[topic]) for topic in topics},
            frozenset(topic for topic in topics if described[topic]["error_code"] == hidden),
            await _group_lacks(admin, group),
            await _certificate_days(servers, brokers),
        )
    finally:
        await admin.close()


async def _topic(admin: AIOKafkaAdminClient, servers: KafkaAddress, described: dict[str, Any]) -> TopicFacts | None:
    if described["error_code"]:
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


async def _group_lacks(admin: AIOKafkaAdminClient, group: str) -> Literal["", "DESCRIBE", "READ"]:
    """Find out by the heartbeat of a member that there is not: it is refused, and only for a right if one is missing.

    A broker would say outright what is allowed, but the client does not read that part of its answer.
    """
    deadline = asyncio.get_running_loop().time() + GROUP_SECONDS
    while True:
        try:
            coordinator = await admin.find_coordinator(group)
            answer = await admin._send_request(HeartbeatRequest(group, -1, ""), coordinator)  # noqa: SLF001 - no other way
        except GroupAuthorizationFailedError:
            return "DESCRIBE"
        except KafkaError as error:
            # A cluster that never had a group makes its topic of groups when it is first asked, and says to ask again.
            if not error.retriable:
                raise
            if asyncio.get_running_loop().time() > deadline:
                return ""
            await asyncio.sleep(0.2)
        else:
            return "READ" if answer.error_code == GroupAuthorizationFailedError.errno else ""


async def _certificate_days(servers: KafkaAddress, brokers: list[dict[str, Any]]) -> dict[str, float]:
    context = servers.client_options["ssl_context"]
    if not isinstance(context, ssl.SSLContext):
        return {}
    addresses = [(each["host"], each["port"]) for each in brokers]
    days = await asyncio.gather(*(_days_left(context, host, port) for host, port in addresses))
    return {f"{host}:{port}": left for (host, port), left in zip(addresses, days, strict=True) if left is not None}


async def _days_left(context: ssl.SSLContext, host: str, port: int) -> float | None:
    """Return how long the certificate of a broker holds; None where it does not answer, which is not asked here."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(CERTIFICATE_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
        until = ssl.cert_time_to_seconds(writer.get_extra_info("peercert")["notAfter"])
        writer.transport.abort()
        return (until - time.time()) / 86_400
    return None


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
        filled = [each for each in partitions if starts[each] < ends[each]]
        return logs, await _samples(client, filled, ends, partitions)
    finally:
        await client.stop()


async def _samples(
    client: AIOKafkaConsumer, filled: list[KafkaPartition], ends: dict[KafkaPartition, int], every: list[KafkaPartition]
) -> dict[TopicPartition, Sample]:
    wanted = filled[:SAMPLED_PARTITIONS_MAX]
    numbers = [each.partition for each in every]
    client.assign(wanted or every[:1])  # of an empty one nothing comes, but whether it may be read
    for each in wanted or every[:1]:
        client.seek(each, max(0, ends[each] - 1))
    samples: dict[TopicPartition, Sample] = {}
    deadline = asyncio.get_running_loop().time() + (SAMPLE_SECONDS if wanted else 0)
    while True:
        for partition, records in (await client.getmany(timeout_ms=300)).items():
            last = records[-1]
            belongs = None if last.key is None else partition_of(last.key, numbers, numbers) == partition.partition
            samples[_ours(partition)] = Sample(last.timestamp, belongs)
        if len(samples) == len(wanted) or asyncio.get_running_loop().time() >= deadline:
            return samples


def _ours(partition: KafkaPartition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.partition)
