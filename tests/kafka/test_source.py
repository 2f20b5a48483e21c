"""The source beside an answer that is on its way, a broker that throttles, and one that leads nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from aiokafka.protocol.fetch import FetchResponse_v4

from consumer.core import Core
from consumer.fetch_loop import FetchLoop
from consumer.monitoring.metrics import Metrics
from consumer.monitoring.observer import Observer
from consumer.source import OvertakenError, Source, SourceError
from consumer.topic_ids import HOLDS_SECONDS, TopicIds
from consumer.work import Pause, Resume, Seek, SourceCommand
from events.position import TopicPartition
from events.publisher import ensure_topics
from store import PostgresStore
from tests.consuming import applied, consuming, encoded, make_service, produce, until
from tests.lives import event
from tests.stack import Servers


class Standing:
    """A source that is assigned partitions which nobody claims, and a gate before its questions about topics."""

    def __init__(self, servers: Servers, topic: str) -> None:
        self.assigned = asyncio.Event()
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()
        self.gate.set()
        self.source = Source(
            bootstrap_servers=servers.kafka_bootstrap_servers,
            topics=(topic,),
            group=f"standing-{topic}",
            session_timeout_ms=6_000,
            assigned=self._assign,
            revoked=lambda: None,
        )
        answer = self.source._topic_ids.of

        async def answer_after_gate(*given: Any) -> Any:
            self.asked.set()
            await self.gate.wait()
            return await answer(*given)

        self.source._topic_ids.of = answer_after_gate  # type: ignore[assignment,method-assign] # delays the real one

    def _assign(self, partitions: list[TopicPartition]) -> list[SourceCommand]:
        self.assigned.set()
        return [Pause(tuple(partitions)), *(Seek(each, 0) for each in partitions), Resume(tuple(partitions))]


@pytest.fixture
async def standing(servers: Servers, topic: str) -> AsyncIterator[Standing]:
    """A source over a topic with ten records in one partition."""
    values = encoded(event("started", run=f"run-{n}") for n in range(10))
    await produce(servers.kafka_bootstrap_servers, topic, values, partitions=1)
    standing = Standing(servers, topic)
    await standing.source.start()
    await standing.assigned.wait()
    try:
        yield standing
    finally:
        standing.gate.set()
        await standing.source.stop()


async def test_what_was_fetched_before_a_seek_is_not_handed_out_after_it(standing: Standing, topic: str) -> None:
    """Records that came before a position was moved, and whose topic was asked about meanwhile, come again."""
    source, partition = standing.source, TopicPartition(topic, 0)
    standing.gate.clear()
    fetching = asyncio.create_task(source.fetch())
    await standing.asked.wait()
    source.perform([Seek(partition, 3)])
    standing.gate.set()
    with pytest.raises(OvertakenError):
        await fetching
    while not (fetched := await source.fetch()).records:
        pass  # a slow broker gives nothing in time, now and then
    assert [record.offset for record in fetched.records[partition]] == list(range(3, 10))
    assert fetched.topic_ids.keys() == {partition}


async def test_markers_are_not_moved_over_after_a_seek(standing: Standing, topic: str) -> None:
    """A position that the client had reached before it was moved back is not believed afterwards."""
    source, partition = standing.source, TopicPartition(topic, 0)
    moved_over: list[object] = []

    class StandingCore(Core):
        @property
        def starts(self) -> dict[TopicPartition, int]:
            return {partition: 0}

        def drained(self, *given: Any) -> list[SourceCommand]:
            moved_over.append(given)
            return []

    await source.fetch()
    core = StandingCore()
    loop = FetchLoop(core, lambda: source, Observer(core, Metrics(lambda: 0.0)), asyncio.Event(), asyncio.Event())
    await loop._move_over_markers(source)
    assert len(moved_over) == 1
    standing.gate.clear()
    standing.asked.clear()
    moving = asyncio.create_task(loop._move_over_markers(source))
    await standing.asked.wait()
    source.perform([Seek(partition, 3)])
    standing.gate.set()
    await moving
    assert len(moved_over) == 1


async def test_a_throttled_answer_is_an_outage(standing: Standing, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that throttles a client answers without records; that is waited out, and halts nothing."""

    async def throttled(*_: object, **__: object) -> FetchResponse_v4:
        return FetchResponse_v4(500, [])

    monkeypatch.setattr(standing.source._client, "send", throttled)
    with pytest.raises(SourceError, match="throttles this client for 500 ms"):
        await standing.source.read_slowly(TopicPartition(topic, 0), 0)


async def test_whatever_the_client_raises_is_an_error_of_the_source(
    standing: Standing, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure that the client does not announce ends no loop of the service."""

    async def broken(*_: object, **__: object) -> None:
        raise KeyError(topic)

    partition = TopicPartition(topic, 0)
    monkeypatch.setattr(standing.source._client, "send", broken)
    for question in (
        standing.source.logs([partition]),
        standing.source.topic_ids([partition]),
        standing.source.read_slowly(partition, 0),
    ):
        with pytest.raises(SourceError, match="KeyError"):
            await question


async def test_two_questions_at_once_are_both_answered_whole(servers: Servers, topic: str) -> None:
    """What one question finds known is not lost to it when another one throws it out."""
    other = f"{topic}-other"
    await ensure_topics(servers.kafka_bootstrap_servers, [topic, other], partitions=1)
    standing = Standing(servers, topic)
    await standing.source.start()
    try:
        await standing.source._client.set_topics([topic, other])
        ids = TopicIds(standing.source._client)
        partitions = await ids.of([standing.source._readable()[0]])
        assert all(id_ != UUID(int=0) for id_ in partitions.values())
        loop = asyncio.get_running_loop()
        both = [*partitions, type(next(iter(partitions)))(other, 0)]
        asking = asyncio.create_task(ids.of(both))
        await asyncio.sleep(0)
        ids._known = {}
        assert len(await asking) == 2
        assert loop.time() + HOLDS_SECONDS > min(until for _, until in ids._known.values())
    finally:
        await standing.source.stop()


async def test_a_partition_without_a_leader_holds_up_no_other(servers: Servers, database_url: str, topic: str) -> None:
    """What no broker leads is claimed once one does; the others are claimed and applied meanwhile."""
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, encoded(event("started", run=f"run-{n}") for n in range(20)), partitions=2)
    service = make_service(bootstrap, PostgresStore(database_url), topic)
    is_led = service._source._is_led
    led = asyncio.Event()
    service._source._is_led = lambda tp: is_led(tp) and (tp.partition == 1 or led.is_set())  # type: ignore[assignment,method-assign] # a leader that comes later
    async with consuming(service):
        await until(lambda: applied(database_url, topic, 10), "the partition with a leader is applied")
        assert not service.core.ready
        led.set()
        await until(lambda: applied(database_url, topic, 20), "the other one is, once it has one")
