"""One partition with a flood beside others with a trickle, on a real Kafka: nobody waits for the flood to end."""

from __future__ import annotations

import random

import pytest
from aiokafka import AIOKafkaProducer

from events.publisher import ensure_topics
from store import PostgresStore
from tests.consuming import consuming, encoded, fetch, make_service, produce, until
from tests.lives import event
from tests.stack import Servers

PARTITIONS = 8
FLOOD = 30_000
TRICKLE = 10
SHARE_MAX = 0.5  # of the flood may come before the trickles have; without turns it is all of it


async def flood(servers: str, topic: str) -> None:
    """Fill partition 0 with records that compress so well that one answer of the broker holds most of them."""
    [value] = encoded([event("started", run="flood")])
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, compression_type="gzip", max_batch_size=900_000, linger_ms=50
    )
    await producer.start()
    for _ in range(FLOOD):
        await producer.send(topic, value, partition=0)
    await producer.stop()


async def test_a_flood_in_one_partition_does_not_keep_the_others_waiting(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What trickles into seven partitions is applied before half of the flood in the eighth is."""
    monkeypatch.setattr(random, "shuffle", list.sort)  # the client asks in an order by chance; this is the worst one
    bootstrap = servers.kafka_bootstrap_servers
    await ensure_topics(bootstrap, [topic], partitions=PARTITIONS)
    await flood(bootstrap, topic)
    trickle = encoded(event("started", run=f"trickle-{n}") for n in range(PARTITIONS * TRICKLE))
    await produce(bootstrap, topic, trickle, partitions=PARTITIONS)
    flooded: list[int] = []

    async def trickles_are_applied() -> bool:
        found = await fetch(database_url, "SELECT partition, next_offset FROM positions")
        offsets = {r["partition"]: r["next_offset"] for r in found}
        done = len(offsets) == PARTITIONS and all(offsets[n] == TRICKLE for n in range(1, PARTITIONS))
        flooded.extend([offsets[0]] if done else [])
        return done

    async with consuming(make_service(bootstrap, PostgresStore(database_url), topic)):
        await until(trickles_are_applied, "the trickles are applied")
    assert flooded[0] < SHARE_MAX * FLOOD
