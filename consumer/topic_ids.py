"""The ids that Kafka gives topics: a topic that is made anew has the same name and another id.

The Kafka client speaks only versions of the metadata request that know no ids; this is the one request of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from io import BytesIO
from uuid import UUID

from aiokafka import TopicPartition as KafkaPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import LeaderNotAvailableError, NoError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

METADATA = 3
# The client's key for a connection of its own: on the one that fetches, a question waits until the fetch is answered.
ASKING = 2
# How long an answer holds. A topic that is deleted, made anew and filled beyond a position within this time passes for
# the old one until the next look; asking after every fetch would take a tenth of a core where latency is low.
HOLDS_SECONDS = 0.05
NO_ID = UUID(int=0)  # what a cluster says that knows the request, and gives no ids yet
WITH_IDS = 10  # brokers know this version since 2.8, and still do


class _Uuid(AbstractType[UUID]):  # type: ignore[misc] # aiokafka ships no type information
    """Sixteen bytes."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class _MetadataResponse(Response):  # type: ignore[misc] # as above
    API_KEY = METADATA
    API_VERSION = WITH_IDS
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("topic_authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc] # as above
    API_KEY = METADATA
    API_VERSION = WITH_IDS
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc] # as above
    API_KEY = METADATA

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics: list[tuple[UUID, str, dict[int, bytes]]] = [(NO_ID, topic, {}) for topic in topics]

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        return request_struct_class(self._topics, False, False, False, {})


class TopicIds:
    """Asks for the ids of topics, each of a broker that serves it.

    A broker that leads a partition has heard of its topic's id before it serves the first record of it; another one may
    lag behind.

    Args:
        client: lends its connections, and its knowledge of the cluster.
    """

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client
        self._known: dict[str, tuple[UUID, float]] = {}  # by topic: its id, and how long that holds

    async def of(self, partitions: Iterable[KafkaPartition]) -> dict[KafkaPartition, UUID]:
        """Return the ids of partitions' topics; none where the brokers are too old to tell.

        Raises:
            UnknownTopicOrPartitionError: there is no such topic now.
            KafkaError: a broker does not answer.
        """
        partitions = list(partitions)
        now = asyncio.get_running_loop().time()
        known = {topic: known for topic, known in self._known.items() if now < known[1]}
        asked = self._leaders(partition for partition in partitions if partition.topic not in known)
        for answer in await asyncio.gather(*(self._ask(broker, topics) for broker, topics in asked.items())):
            known |= {topic: (id_, now + HOLDS_SECONDS) for topic, id_ in answer.items()}
        self._known = known
        return {p: known[p.topic][0] for p in partitions if p.topic in known}

    def _leaders(self, partitions: Iterable[KafkaPartition]) -> dict[int, set[str]]:
        """Return whom to ask about which topics."""
        leaders: dict[int, set[str]] = {}
        for partition in partitions:
            leader = self._client.cluster.leader_for_partition(partition)
            if leader is None or leader == -1:
                self._client.force_metadata_update()
                raise LeaderNotAvailableError(str(partition))
            leaders.setdefault(leader, set()).add(partition.topic)
        return leaders

    async def _ask(self, broker: int, topics: set[str]) -> dict[str, UUID]:
        try:
            answer = await self._client.send(broker, _MetadataRequest(sorted(topics)), group=ASKING)
        except NotImplementedError:  # what the client says of a version that the broker does not know
            return {}
        ids = {}
        for code, name, id_, *_ in answer.topics:
            error = for_code(code)
            if error is not NoError:
                raise error(name)
            if id_ != NO_ID:
                ids[name] = id_
        return ids
