"""Delivery: an idempotent producer that batches, answers within a bounded time, and is replaced when it cannot go on.

An idempotent producer numbers its batches. When the broker refuses one for good, the next has the wrong number and
every later one fails too; so a producer that has seen such a refusal is replaced by a fresh one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.partitioner import DefaultPartitioner

from ..position import Position

LINGER_MS = 5  # waits for company: what many tasks publish within a few milliseconds shares a request
BATCH_BYTES = 262_144  # per partition; aiokafka's 16 kB would fill with one large payload


class Delivery:
    """One connection to Kafka; `start` before use, `stop` after it."""

    def __init__(
        self, bootstrap_servers: str | Sequence[str], timeout_seconds: float, client_options: Mapping[str, Any]
    ) -> None:
        self._servers = bootstrap_servers
        self._timeout_seconds = timeout_seconds
        self._client_options = client_options
        self._producer: AIOKafkaProducer | None = None
        self._replacing = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaError: the servers do not answer in time.
        """
        producer = self._new_producer()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await producer.start()
        except BaseException as error:
            await producer.stop()
            if isinstance(error, TimeoutError):
                raise self._timeout(f"Kafka at {self._servers} did not answer") from None
            raise
        self._producer = producer

    async def stop(self) -> None:
        """Deliver what is under way, for a bounded time, and disconnect; idempotent."""
        producer, self._producer = self._producer, None
        if producer is not None:
            self._retire(producer)
        await asyncio.gather(*self._retiring)

    async def send(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> Position:
        """Return where the record lies, once all replicas in sync have it.

        Raises:
            KafkaError: it was not acknowledged in time, or was refused; it may have been written all the same.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                producer = await self._usable()
                try:
                    metadata = await producer.send_and_wait(topic, value, key, headers=headers)
                except KafkaError as error:
                    if producer is self._producer and not error.retriable:
                        self._producer = None
                        self._retire(producer)
                    raise
        except TimeoutError:
            raise self._timeout("no acknowledgement") from None
        return Position(metadata.topic, metadata.partition, metadata.offset)

    def _new_producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self._servers,
            acks="all",
            enable_idempotence=True,
            partitioner=partition_of,
            linger_ms=LINGER_MS,
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=round(self._timeout_seconds * 1000),
            **self._client_options,
        )

    async def _usable(self) -> AIOKafkaProducer:
        async with self._replacing:
            if self._producer is None:
                await self.start()
            assert self._producer is not None
            return self._producer

    def _retire(self, producer: AIOKafkaProducer) -> None:
        """Let a producer finish what it has under way, while another one takes over."""
        task = asyncio.create_task(self._stop(producer))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _stop(self, producer: AIOKafkaProducer) -> None:
        """Flush and disconnect; aiokafka alone would wait for a dead broker for ever."""
        stopping = asyncio.ensure_future(producer.stop())
        done, _ = await asyncio.wait([stopping], timeout=self._timeout_seconds)
        if not done:
            producer._sender.sender_task.cancel()  # noqa: SLF001 - the only way to end its retries
            await stopping
            producer._message_accumulator.fail_all(KafkaTimeoutError())  # noqa: SLF001 - ends the wait for its flush

    def _timeout(self, what: str) -> KafkaTimeoutError:
        return KafkaTimeoutError(f"{what} within {self._timeout_seconds:g} s")


def partition_of(key: bytes, all_partitions: list[int], available: list[int]) -> int:
    """Return the partition of a key as Java clients choose it (murmur2), whatever the client's default becomes."""
    partition: int = DefaultPartitioner()(key, sorted(all_partitions), available)
    return partition
