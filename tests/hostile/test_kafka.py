"""All hostile records at once, through a real Kafka into a real PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Mapping
from itertools import chain
from uuid import UUID

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from consumer.record import Record
from events import ExecutionRow, encode, fold, row
from events.position import TopicPartition
from events.publisher import ensure_topics
from store import PostgresStore
from tests.conformance.stores import KeptInPostgres, kept_in_postgres
from tests.consuming import consume_all, rows
from tests.hostile.batches import GOOD, expected_dead_letters, expected_withheld, good_work, without_detail
from tests.hostile.cases import CASES, Case, Outcome, Sent, hostile
from tests.lives import event
from tests.stack import Servers

PARTITIONS = 4
BATCH_BYTES_MAX = 1_047_000  # the broker refuses a batch of 1,048,588 bytes, and it is more than its records

Log = dict[TopicPartition, list[Record]]


def size(sent: Sent) -> int:
    """What a record weighs."""
    return len(sent.value or b"") + sum(len(name) + len(value or b"") for name, value in sent.headers)


PRODUCED = [case for case in CASES if all(size(sent) < BATCH_BYTES_MAX for sent in case.sent)]


async def produce(producer: AIOKafkaProducer, topic: str, sent: Iterable[Sent], seed: int) -> Log:
    """Scatter records over the partitions; where each of them lies."""
    chance = random.Random(seed)
    now_ms = round(time.time() * 1000)  # stated, for what the client says of its own clock can be a millisecond off
    dated = [each if each.timestamp_ms is not None else each._replace(timestamp_ms=now_ms) for each in sent]
    places = []
    for value, key, headers, timestamp_ms in dated:
        partition = chance.randrange(PARTITIONS)
        places.append(
            await producer.send(
                topic, value, key=key, headers=list(headers), timestamp_ms=timestamp_ms, partition=partition
            )
        )
    log: Log = {}
    for each, place in zip(dated, await asyncio.gather(*places), strict=True):
        assert each.timestamp_ms is not None
        record = Record(place.offset, each.timestamp_ms, each.key, each.value, each.headers)
        log.setdefault(TopicPartition(topic, place.partition), []).append(record)
    return log


def started(run: str) -> Sent:
    """A record that nothing is wrong with, of a run of its own."""
    return Sent(encode(event("started", run=run)))


def shown_by(cases: Iterable[Case], found: Mapping[UUID, ExecutionRow]) -> dict[str, object]:
    """What the rows of cases show of what they must."""
    return {
        str(case): {name: getattr(found[case.run.id], name) for name in case.shows} for case in cases if case.has_row
    }


async def test_every_case_at_once(servers: Servers, database_url: str, topic: str) -> None:
    """All hostile records, scattered among good ones and beside transactions, leave exactly what each leaves alone."""
    bootstrap = servers.kafka_bootstrap_servers
    await ensure_topics(bootstrap, [topic], partitions=PARTITIONS)
    sent = [*GOOD, *chain.from_iterable(case.sent for case in PRODUCED)]
    random.Random(1).shuffle(sent)
    half = len(sent) // 2
    bad = [case.sent[0] for case in PRODUCED if case.outcome is Outcome.DEAD_LETTER][:20]
    async with (
        AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=1_048_576) as producer,
        AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic) as transactional,
    ):
        logs = [await produce(producer, topic, sent[:half], seed=2)]
        await transactional.begin_transaction()
        await produce(transactional, topic, [started("never"), *bad], seed=3)
        await transactional.abort_transaction()
        logs.append(await produce(producer, topic, sent[half:], seed=4))
        async with transactional.transaction():
            logs.append(await produce(transactional, topic, [started("committed"), *bad], seed=5))
    service = await consume_all(bootstrap, PostgresStore(database_url), topic)

    found = await rows(database_url)
    good = {state.run.id: row(state) for state in good_work().states}
    committed = event("started", run="committed")
    assert {id_: found.pop(id_) for id_ in good} == good
    assert found.pop(committed.execution_id) == row(fold([committed]))
    assert set(found) == {case.run.id for case in PRODUCED if case.has_row}
    assert shown_by(PRODUCED, found) == {str(case): case.shows for case in PRODUCED if case.has_row}
    async with kept_in_postgres(database_url) as kept:
        await everything_else_is_kept(kept, logs)
    skipped = [case.reason for case in PRODUCED if case.outcome is Outcome.SKIP]
    assert service.metrics.value("wex_records_total", outcome="tombstone") == skipped.count("tombstone")
    assert service.metrics.value("wex_records_total", outcome="unknown_verb") == skipped.count("unknown_verb")
    assert service.metrics.value("wex_database_errors_total") == 0


async def everything_else_is_kept(kept: KeptInPostgres, logs: list[Log]) -> None:
    """Compare dead letters and withheld payloads with the logs, byte for byte and place by place."""
    written = [(partition, log[partition]) for log in logs for partition in log]
    letters = list(chain.from_iterable(expected_dead_letters(PRODUCED, *part) for part in written))
    found = sorted(map(without_detail, await kept.dead_letters()), key=lambda x: (x.partition, x.offset))
    assert found == sorted(letters, key=lambda x: (x.partition, x.offset))
    withheld = list(chain.from_iterable(expected_withheld(PRODUCED, *part) for part in written))
    payloads = sorted(await kept.withheld(), key=lambda x: (x.partition, x.offset))
    assert payloads == sorted(withheld, key=lambda x: (x.partition, x.offset))
    assert await kept.incidents() == []


async def test_an_open_transaction_is_waited_for(servers: Servers, database_url: str, topic: str) -> None:
    """Nothing behind an open transaction is applied until it ends, and everything once it has."""
    bootstrap = servers.kafka_bootstrap_servers
    await ensure_topics(bootstrap, [topic], partitions=1)
    before, within, behind = (event("started", run=run) for run in ("before", "within", "behind"))
    async with (
        AIOKafkaProducer(bootstrap_servers=bootstrap) as producer,
        AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic) as transactional,
    ):
        await producer.send_and_wait(topic, encode(before))
        await transactional.begin_transaction()
        await transactional.send_and_wait(topic, encode(within))
        await producer.send_and_wait(topic, encode(behind))
        await consume_all(bootstrap, PostgresStore(database_url), topic)
        assert set(await rows(database_url)) == {before.execution_id}
        await transactional.commit_transaction()
    await consume_all(bootstrap, PostgresStore(database_url), topic)
    assert set(await rows(database_url)) == {each.execution_id for each in (before, within, behind)}


async def test_the_broker_refuses_times_that_cannot_be(servers: Servers, topic: str) -> None:
    """A record that is dated millions of years ahead never reaches a consumer."""
    bootstrap = servers.kafka_bootstrap_servers
    await ensure_topics(bootstrap, [topic], partitions=1)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        with pytest.raises(KafkaError, match="InvalidTimestamp"):
            await producer.send_and_wait(topic, hostile("too late"), timestamp_ms=2**62)
