"""A source without a group: partitions that are named by hand, read beside every consumer and committed nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Self

from aiokafka.errors import KafkaError

from consumer.kafka_address import Kafka
from consumer.source import START_TIMEOUT_SECONDS, Source, SourceError, _ours, _theirs, unreachable
from events.position import TopicPartition
from store.batch import LogRange

RECORDS_MAX = 10_000  # of one fetch
UNUSED_SESSION_TIMEOUT_MS = 15_000  # there is no group that could wait for us


class LogSource(Source):
    """The logs of some partitions; an async context manager.

    Raises:
        SourceError: on entering, no broker answers.
    """

    def __init__(self, bootstrap_servers: Kafka) -> None:
        self.servers = bootstrap_servers
        super().__init__(
            bootstrap_servers=bootstrap_servers,
            topics=(),
            group=None,
            session_timeout_ms=UNUSED_SESSION_TIMEOUT_MS,
            records_max=RECORDS_MAX,
            assigned=lambda _: [],
            revoked=lambda: None,
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Connect.

        Raises:
            SourceError: no broker answers.
        """
        try:
            await asyncio.wait_for(self._consumer.start(), START_TIMEOUT_SECONDS)
        except (KafkaError, OSError) as error:
            await self.stop()
            said = f"Kafka does not answer: {str(error) or type(error).__name__}"
            raise await unreachable(self._kafka, said) from error

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets on, and nothing else any more."""
        self._consumer.assign([_theirs(partition) for partition in offsets])
        for partition, offset in offsets.items():
            self._consumer.seek(_theirs(partition), offset)

    async def ranges(self, topics: Iterable[str]) -> dict[TopicPartition, LogRange]:
        """Return where the log begins and ends of every partition of those of the topics that there are.

        Raises:
            SourceError: no broker answers.
        """
        try:
            cluster = await self._client.fetch_all_metadata()  # asking by name might make a topic
        except (KafkaError, OSError) as error:
            msg = f"the topics cannot be listed: {error}"
            raise SourceError(msg) from error
        partitions = [
            TopicPartition(topic, number)
            for topic in sorted(set(topics))
            for number in sorted(cluster.partitions_for_topic(topic) or ())
        ]
        if not partitions:
            return {}
        await self._client.set_topics({partition.topic for partition in partitions})  # or it knows no leaders
        logs = await self.logs(partitions)
        if missing := [str(partition) for partition in partitions if partition not in logs]:
            msg = f"no broker leads {', '.join(missing)} now"
            raise SourceError(msg)
        return logs

    async def offsets_at(self, partitions: Iterable[TopicPartition], time: datetime) -> dict[TopicPartition, int]:
        """Return the offset of the first record that is not older than a time, for partitions that have one.

        Raises:
            SourceError: no broker answers.
        """
        asked = {_theirs(partition): round(time.timestamp() * 1000) for partition in partitions}
        try:
            found = await self._consumer.offsets_for_times(asked)
        except (KafkaError, OSError) as error:
            msg = f"the offsets at {time.isoformat()} cannot be read: {error}"
            raise SourceError(msg) from error
        return {_ours(tp): at.offset for tp, at in found.items() if at is not None}
