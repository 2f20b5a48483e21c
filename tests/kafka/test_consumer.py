"""The consumer on a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from functools import partial
from itertools import chain
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from consumer.source import SourceError
from events import Event, RunRef, fold, row
from events.position import TopicPartition
from events.publisher import ExecutionPublisher, ensure_topics
from store import ExecutionReader, PostgresStore
from tests.consuming import applied, consume_all, consuming, encoded, fetch, make_service, produce, rows, until
from tests.lives import LIVES, event, life
from tests.stack import Servers


def lives(copies: int = 1) -> list[Event]:
    """All the lives, each several times as runs of its own, in one random order with duplicates."""
    runs = ((number, copy) for number in range(1, len(LIVES) + 1) for copy in range(copies))
    events = list(chain.from_iterable(life(number, run=f"{number}-{copy}")[0] for number, copy in runs))
    events += events[::7]
    random.Random(11).shuffle(events)
    return events


def expected(events: list[Event]) -> dict[object, object]:
    """The rows that a set of events must give."""
    by_run: dict[object, list[Event]] = {}
    for each in events:
        by_run.setdefault(each.execution_id, []).append(each)
    return {id_: row(fold(of_run)) for id_, of_run in by_run.items()}


async def test_rows_equal_the_fold_of_the_log(servers: Servers, database_url: str, topic: str) -> None:
    """All the lives, scattered over three partitions with duplicates, end as the rows that their folds give."""
    events = lives(copies=5)
    await produce(servers.kafka_bootstrap_servers, topic, encoded(events))
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert await rows(database_url) == expected(events)


async def test_a_consumer_goes_on_where_the_last_one_stopped(servers: Servers, database_url: str, topic: str) -> None:
    """A second consumer applies only what the first has not."""
    events = lives()
    half = len(events) // 2
    await produce(servers.kafka_bootstrap_servers, topic, encoded(events[:half]))
    first = await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    await produce(servers.kafka_bootstrap_servers, topic, encoded(events[half:]))
    second = await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert (
        first.metrics.value("wex_records_total", outcome="applied"),
        second.metrics.value("wex_records_total", outcome="applied"),
    ) == (half, len(events) - half)
    assert await rows(database_url) == expected(events)


async def test_a_record_published_while_it_runs_is_applied_and_readable_at_once(
    servers: Servers, database_url: str, topic: str
) -> None:
    """A reader that waits for the position of its own write sees it."""
    await ensure_topics(servers.kafka_bootstrap_servers, [topic])
    service = make_service(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    run = RunRef("billing", "bill-1", "run-1")
    async with (
        consuming(service),
        ExecutionPublisher(bootstrap_servers=servers.kafka_bootstrap_servers, topic=topic, source="/t") as publisher,
        ExecutionReader.connect(database_url) as reader,
    ):
        await publisher.started(run, input={"amount": "12.50"})
        position = await publisher.completed(run, output=[1, 2])
        found = await reader.get("bill-1", at_least=position, timeout=20)
    assert found is not None
    assert (found.status, found.input, found.output) == ("completed", {"amount": "12.50"}, [1, 2])


async def test_nobody_misses_his_own_write_among_those_of_others(
    servers: Servers, database_url: str, topic: str
) -> None:
    """Whoever reads with the position of each of his writes finds it, in a get and in a list, while others write."""
    await ensure_topics(servers.kafka_bootstrap_servers, [topic], partitions=2)
    service = make_service(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    async with (
        consuming(service),
        ExecutionPublisher(bootstrap_servers=servers.kafka_bootstrap_servers, topic=topic, source="/t") as publisher,
        ExecutionReader.connect(database_url) as reader,
    ):
        await asyncio.gather(*(write_and_read(publisher, reader, f"writer-{number}") for number in range(6)))


async def write_and_read(publisher: ExecutionPublisher, reader: ExecutionReader, workflow_id: str) -> None:
    """Publish ten times, and look for it each time."""
    for number in range(5):
        run = RunRef(workflow_id, f"{workflow_id}-{number}", "run-1")
        position = await publisher.started(run)
        page = await reader.list(workflow_id, at_least=position, timeout=20)
        assert len(page) == number + 1
        assert page.freshness.covers(position)
        position = await publisher.completed(run)
        found = await reader.get_by_id(run.id, at_least=position, timeout=20)
        assert found is not None
        assert found.status == "completed"


async def test_bad_records_become_dead_letters_and_hurt_nobody(servers: Servers, database_url: str, topic: str) -> None:
    """Four bad records are set aside byte for byte, a bad payload is withheld, 500 good ones are as without them."""
    good = [event("started", n, run=f"good-{n}", input={"n": n}) for n in range(250)]
    good += [event("completed", n + 5, run=f"good-{n}", output=n) for n in range(250)]
    values = encoded(good)
    template = values[0]
    assert template is not None
    nul_in_output = encoded([event("completed", 1, run="withheld", output="@@")])[0]
    assert nul_in_output is not None
    bad = {
        "not_json": b"not json at all",
        "missing time": template.replace(b'"time"', b'"tame"'),
        "nul_character id": template.replace(b'"id":"', b'"id":"\\u0000'),
        "unsupported_version type": template.replace(b".v1", b".v2"),
    }
    withheld = nul_in_output.replace(b'"@@"', b'{"text":"a\\u0000b"}')
    mixed = values[:100] + list(bad.values()) + values[100:300] + [withheld] + values[300:]
    await produce(servers.kafka_bootstrap_servers, topic, mixed)
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)

    found = await rows(database_url)
    special = found.pop(event("completed", run="withheld").execution_id)
    assert found == expected(good)
    assert special.status == "completed"
    assert special.output["$withheld"] == "nul_character"

    letters = await fetch(database_url, "SELECT * FROM dead_letters")
    assert {f"{r['reason']} {r['field']}".strip(): r["value"] for r in letters} == bad
    kept = await fetch(database_url, "SELECT * FROM withheld_payloads")
    assert [(r["fields"], r["codes"], r["value"]) for r in kept] == [(["output"], ["nul_character"], withheld)]


async def test_a_record_that_postgresql_refuses_is_found_and_set_aside(
    servers: Servers, database_url: str, topic: str
) -> None:
    """A chunk with one record that a constraint refuses is bisected until that record alone is a dead letter."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "ALTER TABLE workflow_executions ADD CONSTRAINT no_curse CHECK (reason IS DISTINCT FROM 'curse')"
    )
    await connection.close()
    good = [event("completed", n, run=f"good-{n}") for n in range(300)]
    cursed = event("terminated", 1, run="cursed", reason="curse")
    await produce(servers.kafka_bootstrap_servers, topic, encoded([*good[:77], cursed, *good[77:]]))
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert await rows(database_url) == expected(good)
    letters = await fetch(database_url, "SELECT reason, field, value FROM dead_letters")
    assert [tuple(r) for r in letters] == [("refused_23514", "no_curse", encoded([cursed])[0])]


async def test_nulls_and_verbs_of_later_versions_are_skipped(servers: Servers, database_url: str, topic: str) -> None:
    """A null value and an unknown v1 verb are passed over and counted, not set aside."""
    known = event("started")
    later = encoded([known])[0]
    assert later is not None
    values = [None, *encoded([known]), later.replace(b".started.", b".teleported.")]
    await produce(servers.kafka_bootstrap_servers, topic, values)
    service = await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert service.metrics.value("wex_records_total", outcome="tombstone") == 1
    assert service.metrics.value("wex_records_total", outcome="unknown_verb") == 1
    assert await fetch(database_url, "SELECT 1 FROM dead_letters") == []
    assert await rows(database_url) == expected([known])


async def test_two_consumers_share_the_partitions_and_one_takes_over(
    servers: Servers, database_url: str, topic: str
) -> None:
    """When one of two consumers leaves, the other applies the rest, and nothing is doubled or lost."""
    events = lives(copies=4)
    third = len(events) // 3
    await produce(servers.kafka_bootstrap_servers, topic, encoded(events[:third]), partitions=4)
    first = make_service(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    second = make_service(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    async with consuming(first):
        async with consuming(second):
            await until(lambda: _both_own(first.core.next_offsets, second.core.next_offsets), "both own partitions")
            await produce(servers.kafka_bootstrap_servers, topic, encoded(events[third : 2 * third]), partitions=4)
            await until(lambda: applied(database_url, topic, 2 * third), "two thirds applied")
        await produce(servers.kafka_bootstrap_servers, topic, encoded(events[2 * third :]), partitions=4)
        await until(lambda: applied(database_url, topic, len(events)), "all applied")
    assert await rows(database_url) == expected(events)
    assert first.metrics.value("wex_records_total", outcome="applied") + second.metrics.value(
        "wex_records_total", outcome="applied"
    ) == len(events)


async def _both_own(first: Mapping[TopicPartition, int], second: Mapping[TopicPartition, int]) -> bool:
    return bool(first) and bool(second)


async def test_a_stolen_claim_fences_the_consumer_and_it_recovers(
    servers: Servers, database_url: str, topic: str
) -> None:
    """A consumer whose claim somebody else took writes nothing more under it, and claims anew after rejoining."""
    events = lives()
    await produce(servers.kafka_bootstrap_servers, topic, encoded(events[:50]))
    service = make_service(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    async with consuming(service):
        await until(lambda: applied(database_url, topic, 50), "the first are applied")
        await fetch(database_url, "UPDATE positions SET claim_token = $1", uuid4())
        await produce(servers.kafka_bootstrap_servers, topic, encoded(events[50:]))
        await until(lambda: applied(database_url, topic, len(events)), "all applied")
    assert service.metrics.value("wex_fenced_total") >= 1
    assert service.metrics.value("wex_rejoins_total") == 1
    assert await rows(database_url) == expected(events)


async def test_a_backend_that_dies_within_a_transaction_costs_nothing(
    servers: Servers, database_url: str, topic: str
) -> None:
    """A transaction whose backend is terminated is done again: no record is lost, none becomes a dead letter."""
    events = lives(copies=3)
    await produce(servers.kafka_bootstrap_servers, topic, encoded(events[:100]))
    service = make_service(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    async with consuming(service):
        await until(lambda: applied(database_url, topic, 100), "the first are applied")
        holder = await asyncpg.connect(database_url)
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM positions FOR UPDATE")
            await produce(servers.kafka_bootstrap_servers, topic, encoded(events[100:]))
            await until(partial(_terminated_while_waiting, holder), "the consumer's transaction waits for the lock")
        await holder.close()
        await until(lambda: applied(database_url, topic, len(events)), "all applied")
    assert service.metrics.value("wex_database_errors_total") >= 1
    assert await fetch(database_url, "SELECT 1 FROM dead_letters") == []
    assert await rows(database_url) == expected(events)


async def _terminated_while_waiting(connection: asyncpg.Connection[asyncpg.Record]) -> bool:
    return bool(
        await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'workflow-executions' AND wait_event_type = 'Lock'"
        )
    )


async def test_deleted_records_halt_their_partition_alone(servers: Servers, database_url: str, topic: str) -> None:
    """Records deleted before they were applied halt that partition with an incident; the others go on."""
    from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
    from aiokafka.structs import TopicPartition as KafkaPartition

    events = [event("completed", n, run=f"r{n}") for n in range(60)]
    await produce(servers.kafka_bootstrap_servers, topic, encoded(events[:30]))
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    await produce(servers.kafka_bootstrap_servers, topic, encoded(events[30:]))
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka_bootstrap_servers)
    await admin.start()
    await admin.delete_records({KafkaPartition(topic, 0): RecordsToDelete(before_offset=15)})
    await admin.close()
    service = make_service(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    async with consuming(service):
        await until(lambda: applied(database_url, topic, 50), "the other partitions go on")
        await until(lambda: _halted(database_url), "the partition is halted")
    incidents = await fetch(database_url, "SELECT kind, partition, from_offset, to_offset FROM incidents")
    assert [tuple(r) for r in incidents] == [("gap", 0, 10, 15)]
    positions = await fetch(database_url, "SELECT next_offset, state FROM positions ORDER BY partition")
    assert [tuple(r) for r in positions] == [(10, "halted"), (20, "live"), (20, "live")]


async def _halted(database_url: str) -> bool:
    return bool(await fetch(database_url, "SELECT 1 FROM positions WHERE state = 'halted'"))


async def test_a_halted_partition_ends_catching_up_with_a_problem(
    servers: Servers, database_url: str, topic: str
) -> None:
    """A consumer that is to end once it has caught up says that it cannot, rather than that it has or nothing."""
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, encoded([event("started")]))
    await consume_all(bootstrap, PostgresStore(database_url), topic)
    await fetch(database_url, "UPDATE positions SET state = 'halted' WHERE partition = 1")
    service = make_service(bootstrap, PostgresStore(database_url), topic, until_caught_up=True)
    problem = await asyncio.wait_for(service.run(), 20)
    assert problem == f"halted: {topic}/1"


async def test_large_payloads_go_in_chunks_that_fit(servers: Servers, database_url: str, topic: str) -> None:
    """Hundreds of payloads near the limit are applied in several transactions, without a failure of the database."""
    text = "x" * 1000
    events = [event("completed", n, run=f"r{n}", output=[text] * 240) for n in range(200)]
    await produce(servers.kafka_bootstrap_servers, topic, encoded(events))
    service = await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert (
        service.metrics.value("wex_records_total", outcome="applied"),
        service.metrics.value("wex_database_errors_total"),
    ) == (200, 0)
    assert len(await rows(database_url)) == 200


@pytest.mark.parametrize(("knows_the_id", "kind"), [(True, "recreated"), (False, "another_log")])
async def test_another_log_under_the_same_name_halts(
    servers: Servers, database_url: str, topic: str, knows_the_id: bool, kind: str
) -> None:
    """A topic made anew is not read on: its id is another, and where no id is known its record at the anchor is."""
    from aiokafka.admin import AIOKafkaAdminClient

    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, encoded([event("started", n, run=f"old-{n}") for n in range(9)]), partitions=1)
    await consume_all(bootstrap, PostgresStore(database_url), topic)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_topics([topic])
    await until(lambda: _gone(admin, topic), "the topic is gone")
    await admin.close()
    await produce(bootstrap, topic, encoded([event("started", n, run=f"new-{n}") for n in range(20)]), partitions=1)
    before = await rows(database_url)
    if not knows_the_id:
        await fetch(database_url, "UPDATE positions SET topic_id = NULL")
    async with consuming(make_service(bootstrap, PostgresStore(database_url), topic)):
        await until(lambda: _halted(database_url), "the partition is halted")
    assert [r["kind"] for r in await fetch(database_url, "SELECT kind FROM incidents")] == [kind]
    assert await rows(database_url) == before


async def _gone(admin: object, topic: str) -> bool:
    return topic not in await admin.list_topics()  # type: ignore[attr-defined] # aiokafka ships no types


async def test_transaction_markers_are_passed_over(servers: Servers, database_url: str, topic: str) -> None:
    """Committed records are applied, aborted ones are not, and the position moves over the markers to the end."""
    bootstrap = servers.kafka_bootstrap_servers
    await ensure_topics(bootstrap, [topic], partitions=1)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"tx-{topic}")
    await producer.start()
    kept = [event("started", n, run=f"kept-{n}") for n in range(3)]
    for n, each in enumerate(kept):
        async with producer.transaction():
            await producer.send_and_wait(topic, encoded([each])[0], partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(topic, encoded([event("started", run=f"gone-{n}")])[0], partition=0)
        await producer.abort_transaction()
    await producer.stop()
    async with consuming(make_service(bootstrap, PostgresStore(database_url), topic)):
        await until(lambda: applied(database_url, topic, 12), "the position is after the last marker")
    assert await rows(database_url) == expected(kept)


async def test_a_kafka_that_does_not_answer_is_said_at_once(database_url: str, topic: str) -> None:
    """A consumer without a broker ends with an error that says so."""
    service = make_service("127.0.0.1:1", PostgresStore(database_url), topic)
    with pytest.raises(SourceError, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
        await asyncio.wait_for(service.run(), 30)
