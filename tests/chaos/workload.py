"""The producers of the campaign, as one process: a plain one, and a transactional one that aborts three times in ten.

Run with its settings as JSON. Standard input changes the `rate`, says which partition is `hot` (none if it is negative)
and says `stop`; standard output tells four times a second how far the acknowledged log reaches, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from unittest.mock import patch

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from tests.chaos.lives_told import Teller

TURN_SECONDS = 0.05
TELL_SECONDS = 0.25
IN_TRANSACTIONS = 0.06  # of all events
TRANSACTION_EVENTS = 12
TRANSACTION_PAUSE_SECONDS = 0.15
TRANSACTION_TIMEOUT_MS = 10_000  # how long a transaction of a producer that failed holds readers up
ABORTED = 0.30
FLOODED = 0.95  # of the records go to a partition that is hot
METADATA_AGE_MS = 1_000  # how soon a partition that was added gets records


@dataclass
class Workload:
    """Both producers, and what they have done so far."""

    servers: str
    topic: str
    seed: int
    rate: float
    stopped: bool = False
    hot: int = -1
    ends: dict[int, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chance = Random(self.seed)
        self._teller = Teller(Random(self.seed + 1))
        self._outstanding: set[asyncio.Future[Any]] = set()

    async def run(self) -> None:
        """Produce until stopped, and until everything sent is acknowledged."""
        obeying = asyncio.create_task(self._obey())
        telling = asyncio.create_task(self._tell())
        await asyncio.gather(self._produce(), self._transact())
        self._say(stopped=True)
        for task in (obeying, telling):
            task.cancel()

    async def _produce(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.servers, acks="all", linger_ms=5, metadata_max_age_ms=METADATA_AGE_MS
        )
        await producer.start()
        loop = asyncio.get_running_loop()
        owed, last = 0.0, loop.time()
        try:
            while not self.stopped:
                await asyncio.sleep(TURN_SECONDS)
                now = loop.time()
                owed, last = min(owed + (now - last) * self.rate, self.rate), now
                partitions = len(await producer.partitions_for(self.topic))
                while owed >= 1 and not self.stopped:
                    owed -= 1
                    await self._send(producer, partitions)
            await producer.flush()
            await asyncio.gather(*self._outstanding, return_exceptions=True)
        finally:
            await producer.stop()

    async def _send(self, producer: Any, partitions: int) -> None:
        told = self._teller.next()
        flooded = 0 <= self.hot < partitions and self._chance.random() < FLOODED
        partition = self.hot if flooded else told.partition(partitions, self._chance)
        try:
            sent = await producer.send(
                self.topic, told.value, key=told.key, partition=partition, headers=list(told.headers)
            )
        except KafkaError:
            self.counts["unsent"] += 1
            return
        self.counts["sent"] += 1
        self._outstanding.add(sent)
        sent.add_done_callback(self._acknowledged)

    def _acknowledged(self, sent: asyncio.Future[Any]) -> None:
        self._outstanding.discard(sent)
        if sent.cancelled() or sent.exception() is not None:
            self.counts["unacknowledged"] += 1
            return
        self._reaches(sent.result())
        self.counts["acknowledged"] += 1

    def _reaches(self, metadata: Any) -> None:
        end = metadata.offset + 1
        self.ends[metadata.partition] = max(end, self.ends.get(metadata.partition, 0))

    async def _transact(self) -> None:
        """Write transactions; after any doubt, a new producer under the same id fences the old one."""
        while not self.stopped:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.servers,
                transactional_id=f"chaos-{self.topic}",
                transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
                metadata_max_age_ms=METADATA_AGE_MS,
            )
            try:
                await producer.start()
                while not self.stopped:
                    await self._transaction(producer)
                    await asyncio.sleep(TRANSACTION_PAUSE_SECONDS)
            except (KafkaError, OSError, AssertionError):  # aiokafka asserts about answers that come after a failure
                self.counts["transactions_failed"] += 1
                await asyncio.sleep(0.5)
            finally:
                await _at_most(producer.stop(), 10)

    async def _transaction(self, producer: Any) -> None:
        abort = self._chance.random() < ABORTED
        await producer.begin_transaction()
        sent = []
        for _ in range(TRANSACTION_EVENTS):
            told = self._teller.event()
            partition = self._chance.randrange(len(await producer.partitions_for(self.topic)))
            sent.append(await producer.send(self.topic, told.value, key=told.key, partition=partition))
        for metadata in await asyncio.gather(*sent):
            self._reaches(metadata)
        await (producer.abort_transaction() if abort else producer.commit_transaction())
        self.counts["transactions_aborted" if abort else "transactions_committed"] += 1
        self.counts["aborted" if abort else "committed"] += len(sent)

    async def _obey(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            order = json.loads(line)
            self.rate = order.get("rate", self.rate)
            self.hot = order.get("hot", self.hot)
            self.stopped = self.stopped or order.get("stop", False)
        self.stopped = True  # whoever leads the campaign is gone

    async def _tell(self) -> None:
        while True:
            self._say(stopped=False)
            await asyncio.sleep(TELL_SECONDS)

    def _say(self, *, stopped: bool) -> None:
        told = {"begun": self._teller.begun, "poisoned": self._teller.poisoned, **self.counts}
        sys.stdout.write(json.dumps({"ends": self.ends, "counts": told, "stopped": stopped}) + "\n")
        sys.stdout.flush()


async def _at_most(stopping: Awaitable[None], seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping, seconds)
    except (TimeoutError, KafkaError, OSError):
        return


if __name__ == "__main__":
    builder = "DefaultRecordBatchBuilder"  # the client's builder in C does not write header names as they are
    with (
        patch(f"aiokafka.producer.message_accumulator.{builder}", _DefaultRecordBatchBuilderPy),
        patch(f"aiokafka.producer.producer.{builder}", _DefaultRecordBatchBuilderPy),
    ):
        asyncio.run(Workload(**json.loads(sys.argv[1])).run())
