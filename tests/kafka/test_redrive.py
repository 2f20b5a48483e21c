"""Floods of bad records, and ten thousand dead letters redriven beside a consumer that runs."""

from __future__ import annotations

import asyncio
import random

import pytest

from consumer import batch
from consumer.dead_letter_limit import DeadLetterLimit
from consumer.redrive import Redrive
from consumer.replay.verify import Question, verify
from events import Event, encode
from events.errors import InvalidEvent
from events.position import TopicPartition
from store.batch import Batch, DeadLetter
from store.dead_letters import DeadLetterFilter, DeadLetterReader, DeadLetterStore
from tests.consuming import (
    PostgresStore,
    applied,
    consume_all,
    consuming,
    encoded,
    fetch,
    make_service,
    produce,
    rows,
    until,
)
from tests.kafka.test_consumer import expected, lives
from tests.lives import event
from tests.stack import Servers

LETTERS = 10_000
LEFT_OPEN = 300  # of them, for a while


async def set_aside(database_url: str, events: list[Event]) -> None:
    """Keep events as dead letters, as a consumer that could not read them has."""
    store = PostgresStore(database_url)
    letters = [
        DeadLetter(TopicPartition("older", 0), n, 0, None, encode(each), (), "unsupported_version", "type")
        for n, each in enumerate(events)
    ]
    await store.apply(Batch("older", {}, dead_letters=letters))
    await store.close()


async def redriven(database_url: str, ids: list[int]) -> int:
    """Redrive letters as one operator does, and return how many were applied."""
    store = DeadLetterStore(database_url)
    async with DeadLetterReader(database_url) as reader:
        done = await Redrive(reader, store, "tests").run(DeadLetterFilter(ids=tuple(ids)))
    await store.close()
    assert (done.failed, done.skipped) == ({}, 0)
    return done.applied


def reads_nothing(value: bytes | None, headers: object = ()) -> Event:
    """An older release, which cannot read what its publishers write by now."""
    del value, headers
    raise InvalidEvent("unsupported_version", "type", "made up")


async def verdict(servers: Servers, database_url: str) -> tuple[int, int]:
    """How much differs from the log, and how many records are left out since their dead letters are open."""
    found = await verify(servers.kafka_bootstrap_servers, database_url, "tests", Question(limit=10), lambda *_: None)
    return found.different, found.folded.left_out


@pytest.mark.timeout(300)
async def test_ten_thousand_letters_in_any_order_beside_a_consumer_are_exact(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Letters and records of the same runs, applied at once by operators and a consumer, give the fold of them all."""
    bootstrap = servers.kafka_bootstrap_servers
    events = lives(copies=60)
    half, rest = encoded(events[:LETTERS]), encoded(events[LETTERS:])
    await produce(bootstrap, topic, half)
    with monkeypatch.context() as older:
        older.setattr(batch, "decode", reads_nothing)
        unbound = make_service(bootstrap, PostgresStore(database_url), topic, limit=DeadLetterLimit(0, 100))
        async with consuming(unbound):
            await until(lambda: applied(database_url, topic, LETTERS), "all are set aside")
    ids = [r["id"] for r in await fetch(database_url, "SELECT id FROM dead_letters")]
    assert len(ids) == LETTERS
    random.Random(7).shuffle(ids)
    service = make_service(bootstrap, PostgresStore(database_url), topic)
    async with consuming(service):
        produced = asyncio.create_task(produce(bootstrap, topic, rest))
        counts = await asyncio.gather(*(redriven(database_url, ids[n:-LEFT_OPEN:3]) for n in range(3)))
        await produced
        await until(lambda: applied(database_url, topic, len(events)), "the records are applied")
        assert await verdict(servers, database_url) == (0, LEFT_OPEN)
        counts.append(await redriven(database_url, ids[-LEFT_OPEN:]))
    assert sum(counts) == LETTERS
    assert await rows(database_url) == expected(events)
    assert await verdict(servers, database_url) == (0, 0)
    left = "SELECT count(*) FROM dead_letters WHERE redrive_outcome IS DISTINCT FROM 'applied' OR redrives <> 1"
    assert (await fetch(database_url, left))[0][0] == 0
    assert service.metrics.value("wex_two_owners_total") == 0


async def test_two_operators_redrive_the_same_letters_once(database_url: str) -> None:
    """Of the same letters redriven twice at once each is applied by one of the two."""
    events = [event("started", n, run=f"r{n}") for n in range(500)]
    await set_aside(database_url, events)
    ids = [r["id"] for r in await fetch(database_url, "SELECT id FROM dead_letters")]
    counts = await asyncio.gather(redriven(database_url, ids), redriven(database_url, ids))
    assert sum(counts) == 500
    assert await rows(database_url) == expected(events)
    assert {r["redrives"] for r in await fetch(database_url, "SELECT redrives FROM dead_letters")} == {1}


async def test_a_flood_of_bad_records_ends_the_consumer_and_moves_nothing(
    servers: Servers, database_url: str, topic: str
) -> None:
    """When all is bad the consumer ends, again and again, without a dead letter, until it is told to set them aside."""
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, [b"no event"] * 1_500, partitions=1)
    for _ in range(2):
        service = make_service(bootstrap, PostgresStore(database_url), topic)
        problem = await asyncio.wait_for(service.run(), 30)
        assert problem.startswith("too many dead letters: 1")
    assert await fetch(database_url, "SELECT 1 FROM dead_letters") == []
    found = await fetch(database_url, "SELECT next_offset, claim_token FROM positions")
    assert [tuple(r) for r in found] == [(0, None)]
    unbound = make_service(bootstrap, PostgresStore(database_url), topic, limit=DeadLetterLimit(0, 100))
    async with consuming(unbound):
        await until(lambda: applied(database_url, topic, 1_500), "all are set aside")
    assert unbound.metrics.value("wex_dead_letters_total", reason="not_json") == 1_500


async def test_one_bad_publisher_among_good_ones_is_found_by_the_share(
    servers: Servers, database_url: str, topic: str
) -> None:
    """A third of bad records, never many in a row, ends the consumer; a tenth does not."""
    bootstrap = servers.kafka_bootstrap_servers
    good = encoded([event("started", n, run=f"r{n}") for n in range(2_700)])
    mixed = [value for n, each in enumerate(good) for value in ([each, b"bad"] if n % 9 == 8 else [each])]
    await produce(bootstrap, topic, mixed, partitions=1)
    await consume_all(bootstrap, PostgresStore(database_url), topic)
    assert len(await rows(database_url)) == 2_700
    assert len(await fetch(database_url, "SELECT 1 FROM dead_letters")) == 300
    worse = [value for n, each in enumerate(good) for value in ([each, b"bad"] if n % 2 else [each])]
    await produce(bootstrap, topic, worse, partitions=1)
    service = make_service(bootstrap, PostgresStore(database_url), topic)
    problem = await asyncio.wait_for(service.run(), 30)
    assert "of the last" in problem
    assert problem.endswith("at most 20 %")
