"""Silence of the Kafka client that is not the end of the log: noticed, and ended, on a real Kafka."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from consumer.service import Service
from consumer.stall import StallWatch
from events.position import TopicPartition
from store import PostgresStore
from tests.consuming import applied, consuming, encoded, fetch, make_service, produce, until
from tests.kafka.poison import batches, log_file
from tests.lives import event
from tests.stack import Servers

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
LENGTH_AT = 8  # of a batch, in its header


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.stall_loop.StallWatch", functools.partial(StallWatch, 0.5, 2))
    monkeypatch.setattr("consumer.stall_loop.LOOK_SECONDS", 0.1)


def test_what_stands_is_told_once_each_time_the_patience_is_over() -> None:
    """A partition that goes forward is never told, one that stands is, again and again but not at every look."""
    watch = StallWatch(10, 0)
    told = [watch.standing({A: 5, B: now}, now, 0) for now in range(0, 25, 5)]
    assert told == [(), (), (A,), (), (A,)]


def test_time_without_fetches_does_not_count() -> None:
    """While there was no room for records, or a partition was another's, nothing could come of it."""
    watch = StallWatch(10, 3)
    watch.standing({A: 5}, 0, 7)
    assert watch.standing({A: 5}, 99, 9) == ()
    assert watch.standing({A: 5}, 100, 10) == (A,)
    watch.standing({}, 101, 50)
    assert watch.standing({A: 5}, 120, 60) == ()
    assert watch.standing({A: 5}, 130, 63) == (A,)


@contextmanager
def damaged_length(file: Path, batch: int) -> Iterator[None]:
    """Make the broker itself stumble over a batch, by a length that cannot be; it could not even start with that."""
    start, _ = batches(file)[batch]
    with file.open("r+b", buffering=0) as log:
        log.seek(start + LENGTH_AT)
        before = log.read(4)
        try:
            log.seek(start + LENGTH_AT)
            log.write((1).to_bytes(4))
            yield
        finally:
            log.seek(start + LENGTH_AT)
            log.write(before)


async def halted(database_url: str) -> bool:
    """Whether a partition is halted."""
    return bool(await fetch(database_url, "SELECT 1 FROM positions WHERE state = 'halted'"))


async def test_damage_that_the_broker_finds_halts_the_partition(
    servers: Servers, database_url: str, topic: str
) -> None:
    """The client only logs that the broker's log is damaged; the partition is halted all the same, the others go on."""
    file = log_file(servers, topic, 0)
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, encoded(event("started", run=f"a-{n}") for n in range(20)), partitions=2)
    service = make_service(bootstrap, PostgresStore(database_url), topic)
    async with consuming(service):
        await until(lambda: applied(database_url, topic, 20), "what is whole is applied")
    await produce(bootstrap, topic, encoded(event("started", run=f"b-{n}") for n in range(20)), partitions=2)
    service = make_service(bootstrap, PostgresStore(database_url), topic)
    enough = asyncio.Event()
    with damaged_length(file, len(batches(file)) - 1):
        async with consuming(service):
            load = asyncio.create_task(_keep_busy(bootstrap, topic, enough))
            await until(lambda: halted(database_url), "the damage is noticed")
            enough.set()
            busy = await load
            await until(lambda: applied(database_url, topic, 30 + busy), "the other partition goes on")
    [incident] = await fetch(database_url, "SELECT kind, partition, from_offset, detail FROM incidents")
    assert (incident["kind"], incident["partition"], incident["from_offset"]) == ("corrupt", 0, 10)
    assert "broker" in incident["detail"]
    assert service.metrics.value("wex_rejoins_total") == 0


async def _keep_busy(bootstrap: str, topic: str, enough: asyncio.Event) -> int:
    """Publish to partition 1 without a pause until there is enough; return how much that was."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    sent = 0
    [value] = encoded([event("started", run="busy")])
    while not enough.is_set():
        await producer.send_and_wait(topic, value, partition=1)
        sent += 1
    await producer.stop()
    return sent


def stop_fetching(service: Service) -> None:
    """Have the client stand still, as it has been seen to: the task that fetches is gone, and nobody says so."""
    service._source._consumer._fetcher._fetch_task.cancel()


async def test_a_client_that_stands_still_is_exchanged(servers: Servers, database_url: str, topic: str) -> None:
    """What such a client does not bring is read beside it, and a new client reads on from there."""
    bootstrap = servers.kafka_bootstrap_servers

    async def produce_twenty(name: str) -> None:
        await produce(bootstrap, topic, encoded(event("started", run=f"{name}-{n}") for n in range(20)), partitions=2)

    await produce_twenty("a")
    service = make_service(bootstrap, PostgresStore(database_url), topic)
    async with consuming(service):
        await until(lambda: applied(database_url, topic, 20), "the client brings something")
        stop_fetching(service)
        await produce_twenty("b")  # which the last fetch that was under way may still bring
        await until(lambda: applied(database_url, topic, 40), "it is applied")
        await produce_twenty("c")
        await until(lambda: applied(database_url, topic, 60), "what the client does not bring is applied")
        await until(lambda: _rejoined(service), "a new client takes its place")
        await produce_twenty("d")
        await until(lambda: applied(database_url, topic, 80), "the new client brings the rest")
    assert service.metrics.value("wex_rejoins_total", reason="stalled") == 1
    assert await fetch(database_url, "SELECT 1 FROM incidents") == []


async def _rejoined(service: Service) -> bool:
    return service.metrics.value("wex_rejoins_total") == 1


async def test_an_idle_consumer_is_not_taken_for_a_stalled_one(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a log that is read to its end is looked at, nothing is read slowly and nobody rejoins."""
    bootstrap = servers.kafka_bootstrap_servers
    looks = 0

    class CountingWatch(StallWatch):
        def standing(
            self, offsets: Mapping[TopicPartition, int], now: float, fetches: int
        ) -> tuple[TopicPartition, ...]:
            nonlocal looks
            standing = super().standing(offsets, now, fetches)
            looks += bool(standing)
            return standing

    monkeypatch.setattr("consumer.stall_loop.StallWatch", lambda: CountingWatch(0.3, 1))
    await produce(bootstrap, topic, encoded(event("started", run=f"a-{n}") for n in range(20)), partitions=2)
    service = make_service(bootstrap, PostgresStore(database_url), topic)

    async def looked_often() -> bool:
        return looks >= 4

    async with consuming(service):
        await until(looked_often, "the idle log is looked at")
    assert service.metrics.value("wex_rejoins_total") == 0
    assert await applied(database_url, topic, 20)
