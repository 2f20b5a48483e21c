"""The slow path: one partition's next record batches, asked for and read by ourselves.

It is taken only where the Kafka client fails at a partition, and goes through the client's own connection and its
knowledge of the cluster.
"""

from __future__ import annotations

import asyncio

from aiokafka import TopicPartition as KafkaPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    CorruptRecordException,
    LeaderNotAvailableError,
    NoError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.util import calc_crc32c

from consumer.record import Stretch
from consumer.record_batch import UnreadableError, read_stretch

ANSWER_BYTES_MAX = 1_048_576  # of whole batches; the first one comes even if it is larger
ANSWER_WAIT_MS = 100  # the records are there already, unless an open transaction holds them back
ANSWER_SECONDS = 10.0  # a broker that does not answer holds nobody up for longer
READ_COMMITTED = 1
REFETCHES_MAX = 2  # a flipped bit on the way is gone the next time; one on the broker's disk is not
REFETCH_SECONDS = 0.2


async def read_slowly(client: AIOKafkaClient, partition: KafkaPartition, offset: int) -> Stretch:
    """Return a partition's records from an offset on, or none if there are none yet.

    Raises:
        UnreadableError: they cannot be read, and trying again will not help.
        OffsetOutOfRangeError: the log does not hold the offset.
        KafkaError: the broker does not answer, or not now.
    """
    tries = 0
    while True:
        try:
            data, aborted = await _fetch(client, partition, offset)
            # In a thread: a batch can hold millions of records, and the loop has heartbeats to send.
            return await asyncio.to_thread(read_stretch, data, offset, aborted, calc_crc32c)
        except UnreadableError as error:
            tries += 1
            if error.kind != "corrupt" or tries > REFETCHES_MAX:
                raise
        await asyncio.sleep(REFETCH_SECONDS)


async def _fetch(client: AIOKafkaClient, partition: KafkaPartition, offset: int) -> tuple[bytes, list[tuple[int, int]]]:
    """Ask the partition's leader once; the bytes of its record batches, and the aborted transactions among them."""
    leader = client.cluster.leader_for_partition(partition)
    if leader is None or leader == -1:
        client.force_metadata_update()
        raise LeaderNotAvailableError(partition)
    asked = [(partition.topic, [(partition.partition, offset, ANSWER_BYTES_MAX)])]
    request = FetchRequest(ANSWER_WAIT_MS, 1, ANSWER_BYTES_MAX, READ_COMMITTED, asked)
    async with asyncio.timeout(ANSWER_SECONDS):  # for the answer alone: what is in it takes as long as it takes
        answer = await client.send(leader, request)
    if not answer.topics:  # the broker throttles this client, by a quota
        msg = f"the broker throttles this client for {answer.throttle_time_ms} ms"
        raise RequestTimedOutError(msg)
    [(_, [(_, code, _, *fields)])] = answer.topics
    error = for_code(code)
    if error is CorruptRecordException:
        raise UnreadableError("corrupt", offset, "the broker says that its log is damaged there")
    if error is OffsetOutOfRangeError:
        raise OffsetOutOfRangeError({partition: offset})
    if error in (NotLeaderForPartitionError, UnknownTopicOrPartitionError):
        client.force_metadata_update()
    if error is not NoError:
        if error.retriable:
            raise error(partition)
        raise UnreadableError("unreadable", offset, f"the broker refuses: {error.__name__}")
    # The last fields of every version since 4: [aborted transactions], from 11 on [preferred replica], batches.
    aborted = fields[-3] if answer.API_VERSION >= 11 else fields[-2]
    return fields[-1] or b"", list(aborted or ())
