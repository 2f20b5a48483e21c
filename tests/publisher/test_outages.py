"""The publisher when Kafka does not answer: an error in bounded time, and no harm to what follows."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from events import RunRef
from events.publisher import ExecutionPublisher, PublishError, TopicError, ensure_topics
from tests.publisher.reading import records
from tests.stack import Servers

RUN = RunRef("invoice", "invoice-42", "run-1")


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that accepts connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def closed_port() -> Iterator[str]:
    """A port that nothing listens on, and that nothing else can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.parametrize("create_topic", [True, False])
@pytest.mark.parametrize("server", ["silent_server", "closed_port"])
async def test_opening_fails_in_bounded_time(
    request: pytest.FixtureRequest, server: str, topic: str, *, create_topic: bool
) -> None:
    """A publisher that finds no Kafka says so, with the address and the topic, instead of hanging."""
    address = request.getfixturevalue(server)
    began = time.monotonic()
    with pytest.raises(PublishError, match=rf"cannot publish to {topic}: .*127\.0\.0\.1") as caught:
        await ExecutionPublisher(
            bootstrap_servers=address, topic=topic, source="/tests", create_topic=create_topic, timeout_seconds=0.3
        ).__aenter__()
    assert time.monotonic() - began < 2
    assert (caught.value.topic, caught.value.execution_id) == (topic, None)


async def test_ensure_topics_names_the_silent_server(silent_server: str, topic: str) -> None:
    """Making topics on a server that does not answer fails in time, and says what to check."""
    with pytest.raises(TopicError, match=f"{silent_server} did not answer within 0.3 s; check the address"):
        await ensure_topics(silent_server, [topic], timeout_seconds=0.3)


async def test_outage_is_an_error_and_passes(servers: Servers, topic: str) -> None:
    """While the broker is down a publish fails in time; when it is back the same publisher goes on."""
    if servers.local is None:
        pytest.skip("stops the broker, which only the local stack can")
    kafka = servers.local.kafka
    async with ExecutionPublisher(
        bootstrap_servers=servers.kafka_bootstrap_servers, topic=topic, source="/tests", timeout_seconds=2
    ) as publisher:
        await publisher.started(RUN)
        await asyncio.to_thread(kafka.stop)
        try:
            with pytest.raises(PublishError, match=r"no acknowledgement within 2 s") as caught:
                await publisher.completed(RUN, event_id="e2")
        finally:
            await asyncio.to_thread(kafka.start)
        assert (caught.value.verb, caught.value.event_id) == ("completed", "e2")
        await _until_acknowledged(publisher)
    values = [record.value for record in await records(servers.kafka_bootstrap_servers, topic)]
    assert len(values) >= 2
    assert sum(b'"id":"e2"' in value for value in values) <= 1  # it may have arrived, and then once


async def test_closing_during_an_outage_ends_in_bounded_time(servers: Servers, topic: str) -> None:
    """A publisher that is closed while the broker is down gives up what it could not deliver."""
    if servers.local is None:
        pytest.skip("stops the broker, which only the local stack can")
    kafka = servers.local.kafka
    publisher = ExecutionPublisher(
        bootstrap_servers=servers.kafka_bootstrap_servers, topic=topic, source="/tests", timeout_seconds=0.5
    )
    await publisher.__aenter__()
    await asyncio.to_thread(kafka.stop)
    try:
        with pytest.raises(PublishError):
            await publisher.completed(RUN)
        began = time.monotonic()
        await publisher.__aexit__(None, None, None)
        assert time.monotonic() - began < 3
    finally:
        await asyncio.to_thread(kafka.start)


async def _until_acknowledged(publisher: ExecutionPublisher) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await publisher.heartbeat(RUN)
            except PublishError:
                continue
            return
