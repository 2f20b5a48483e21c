"""Events published at a steady rate, each noted with the moment just before it was handed to the Kafka client."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple
from uuid import UUID

from aiokafka import AIOKafkaProducer

from benchmarks.peers.flat import flat
from benchmarks.workload import EVENTS_EACH, workload

TICK_SECONDS = 0.001  # how often it is looked whether an event is due
ENDINGS = (b".completed.v1", b".failed.v1")


class Load(NamedTuple):
    """What is to be published.

    Attributes:
        rate: events per second.
        warming: for so many seconds first, of which nothing is told.
        first: the number of the first execution; each load has others.
        flat: whether rows are published in place of events (`benchmarks.peers.flat`), for a sink that reads no events.
    """

    servers: str
    topic: str
    partitions: int
    rate: int
    seconds: float
    warming: float
    first: int
    flat: bool = False


class Published(NamedTuple):
    """What was published.

    Attributes:
        events: how many, warming not counted.
        behind: by how many seconds the last came late: beyond a fraction, the rate is not what it was to be.
        ended: when the end of an execution was published first, in seconds since 1970, by the execution's id.
    """

    events: int
    behind: float
    ended: dict[UUID, float]


async def publish(load: Load) -> Published:
    """Publish at the rate; an execution is open for about two seconds."""
    producer = AIOKafkaProducer(bootstrap_servers=load.servers)
    await producer.start()
    executions = round(load.rate * (load.seconds + load.warming) / EVENTS_EACH) + load.rate
    events = list(workload(executions, first=load.first, open_at_once=load.rate))
    records = zip(events, flat(events) if load.flat else events, strict=True)
    begin = time.perf_counter()
    count, told_from = 0, round(load.rate * load.warming)
    last = told_from + round(load.rate * load.seconds)
    ended: dict[UUID, float] = {}
    try:
        while count < last:
            due = min(last, int((time.perf_counter() - begin) * load.rate))
            while count < due:
                event, told = next(records)
                if count >= told_from and event.value.find(ENDINGS[0]) + event.value.find(ENDINGS[1]) > -2:
                    ended.setdefault(UUID(told.key.decode()), time.time())
                await producer.send(load.topic, told.value, key=told.key, partition=told.execution % load.partitions)
                count += 1
            await asyncio.sleep(TICK_SECONDS)
        behind = time.perf_counter() - begin - last / load.rate
        await producer.flush()
    finally:
        await producer.stop()
    return Published(last - told_from, round(behind, 3), ended)
