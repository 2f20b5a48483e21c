"""Stopping the source while the Kafka client is in trouble."""

from __future__ import annotations

import asyncio

from consumer.source import Source
from events.publisher import ensure_topics
from tests.stack import Servers


async def test_stopping_while_the_client_asks_a_broker_again_is_no_cancellation(servers: Servers, topic: str) -> None:
    """A task that the client cancels as it stops cancels nobody else, and the client's connections are closed."""
    await ensure_topics(servers.kafka_bootstrap_servers, [topic])
    source = Source(
        bootstrap_servers=servers.kafka_bootstrap_servers,
        topics=(topic,),
        group=f"stop-{topic}",
        session_timeout_ms=6_000,
        assigned=lambda _: [],
        revoked=lambda: None,
    )
    await source.start()
    client = source._consumer._client
    # As after a failed fetch: the client sleeps before it asks again, and does not expect to be cancelled there.
    source._consumer._fetcher._pending_tasks.add(asyncio.create_task(asyncio.sleep(60)))
    await source.stop()
    assert not any(connection.connected() for connection in client._conns.values())
    await source.stop()
