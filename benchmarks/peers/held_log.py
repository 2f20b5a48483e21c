"""A log that is there at once: written in one transaction of Kafka, and seen by nobody until that is committed.

A sink is started first, joins its group and waits; the clock begins with the commit. What it takes to start does not
count, and no sink has read ahead.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.workload import Told
from events.publisher import ensure_topics

PARTITIONS = 8
TRANSACTION_MS = 900_000  # the longest that a broker allows by itself


async def make_topics(servers: str, topics: Sequence[str], partitions: int = PARTITIONS) -> None:
    """Make topics, with as many partitions as those of the service have if no other number is asked for."""
    await ensure_topics(servers, topics, partitions=partitions)


async def drop_topics(servers: str, topics: Sequence[str]) -> None:
    """Delete topics, so that the disk holds one log at a time."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.delete_topics(list(topics))
    finally:
        await admin.close()


class HeldLog(AbstractAsyncContextManager["HeldLog"]):
    """Records in a topic that exists, which `publish` lets everybody see."""

    def __init__(self, servers: str, topic: str, records: Iterable[Told], partitions: int = PARTITIONS) -> None:
        self._topic, self._records, self._partitions = topic, records, partitions
        self._producer = AIOKafkaProducer(
            bootstrap_servers=servers, transactional_id=f"benchmark-{topic}", transaction_timeout_ms=TRANSACTION_MS
        )

    async def __aenter__(self) -> Self:
        await self._producer.start()
        await self._producer.begin_transaction()
        parts: dict[int, list[Told]] = defaultdict(list)
        for told in self._records:
            parts[told.execution % self._partitions].append(told)
        await asyncio.gather(*(self._write(partition, part) for partition, part in parts.items()))
        await self._producer.flush()
        return self

    async def _write(self, partition: int, part: Sequence[Told]) -> None:
        """Write a partition in batches of the usual size; quicker than record by record."""
        now = time.time_ns() // 1_000_000
        batch = self._producer.create_batch()
        for told in part:
            if batch.append(key=told.key, value=told.value, timestamp=now) is None:
                await self._producer.send_batch(batch, self._topic, partition=partition)
                batch = self._producer.create_batch()
                batch.append(key=told.key, value=told.value, timestamp=now)
        if part:
            await self._producer.send_batch(batch, self._topic, partition=partition)

    async def publish(self) -> None:
        """Let everybody see the records."""
        await self._producer.commit_transaction()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()
