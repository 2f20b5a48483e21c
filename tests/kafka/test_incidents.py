"""Halts on a real Kafka, and operators who lift them with `wex incidents` beside a consumer that runs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition as KafkaPartition

from consumer import source
from consumer.service import HOUSEKEEPING_SECONDS
from events import Event
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
from tests.kafka.poison import batches, flip, log_file, producing, send_batch
from tests.lives import event
from tests.stack import Servers

Wex = Callable[..., Any]


@pytest.fixture
def wex(servers: Servers, database_url: str, topic: str) -> Wex:
    """Run `wex` with arguments as another process, and return what it says to programs."""
    settings = {
        "WEX_KAFKA_BOOTSTRAP_SERVERS": servers.kafka_bootstrap_servers,
        "WEX_DATABASE_URL": database_url,
        "WEX_TOPICS": topic,
        "WEX_CONSUMER_GROUP": "tests",
    }

    async def run(*arguments: str, code: int = 0) -> Any:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("wex"),
            *arguments,
            "--json",
            env=dict(os.environ) | settings,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complained = await process.communicate()
        assert process.returncode == code, complained.decode()
        return json.loads(said) if code == 0 else complained.decode()

    return run


def started(name: str, runs: Sequence[int]) -> list[Event]:
    """One event for each of some runs."""
    return [event("started", n, run=f"{name}-{n}") for n in runs]


def names(found: dict[Any, Any]) -> set[str]:
    """The runs that are in the table."""
    return {row.temporal_run_id for row in found.values()}


async def halted(database_url: str, kind: str) -> bool:
    """Whether a partition is halted, with an open incident of a kind."""
    return bool(
        await fetch(
            database_url,
            "SELECT 1 FROM positions JOIN incidents USING (consumer_group, topic, partition)"
            " WHERE state = 'halted' AND resolved_at IS NULL AND kind = $1",
            kind,
        )
    )


async def delete_records(servers: str, topic: str, before: int) -> None:
    """Make partition 0 begin later."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.delete_records({KafkaPartition(topic, 0): RecordsToDelete(before_offset=before)})
    await admin.close()


async def make_anew(servers: str, topic: str, events: Sequence[Event]) -> None:
    """Delete a topic, make another one of the same name and partition, and fill it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.delete_topics([topic])
    await until(lambda: _gone(admin, topic), "the topic is gone")
    await admin.close()
    await produce(servers, topic, encoded(events), partitions=1)


async def _gone(admin: Any, topic: str) -> bool:
    return topic not in await admin.list_topics()


async def test_a_first_start_on_a_log_without_its_beginning_is_counted_once(
    servers: Servers, database_url: str, topic: str
) -> None:
    """The first claim tells and counts what is gone and halts nothing; the next one does not count it again."""
    await produce(servers.kafka_bootstrap_servers, topic, encoded(started("a", range(30))))
    await delete_records(servers.kafka_bootstrap_servers, topic, 4)
    counts = []
    for _ in range(2):
        service = await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
        counts.append(service.metrics.value("wex_incidents_total", kind="log_start"))
    assert counts == [1, 0]
    assert len(await rows(database_url)) == 26


async def test_an_accepted_gap_is_read_on_by_the_consumer_that_runs(
    servers: Servers, database_url: str, topic: str, wex: Wex
) -> None:
    """The command names what is lost, and the consumer goes on after it within seconds, busy with other partitions."""
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, encoded(started("a", range(30))))
    await consume_all(bootstrap, PostgresStore(database_url), topic)
    await produce(bootstrap, topic, encoded(started("b", range(30))))
    await delete_records(bootstrap, topic, 15)
    service = make_service(bootstrap, PostgresStore(database_url), topic)
    busy = asyncio.Event()
    async with consuming(service):
        await until(lambda: halted(database_url, "gap"), "the partition is halted")
        load = asyncio.create_task(_keep_busy(bootstrap, topic, busy))
        [listed] = (await wex("incidents", "list"))["items"]
        assert (listed["kind"], listed["from_offset"], listed["to_offset"], listed["halted"]) == ("gap", 10, 15, True)
        partition = f"{topic}/0"
        asked = await wex("incidents", "accept-gap", partition, "--dry-run")
        assert (asked["accepted_from"], asked["accepted_to"], asked["dry_run"]) == (10, 15, True)
        assert "does not hold 99" in await wex("incidents", "accept-gap", partition, "--to", "99", "--yes", code=8)
        assert await halted(database_url, "gap")
        await wex("incidents", "accept-gap", partition, "--yes", "--actor", "ann")
        async with asyncio.timeout(HOUSEKEEPING_SECONDS + 5):
            await until(partial(_has, database_url, "b-27"), "what is left of the partition is applied")
        busy.set()
        await load
    lost = {f"b-{n}" for n in range(0, 15, 3)}
    found = names(await rows(database_url))
    assert {f"{name}-{n}" for name in "ab" for n in range(30)} - found == lost
    assert service.metrics.value("wex_rejoins_total") == 0
    [kept] = (await wex("incidents", "list", "--all"))["items"]
    assert (kept["resolution"], kept["resolved_by"]) == ("accepted", "ann")
    assert (kept["accepted_from"], kept["accepted_to"]) == (10, 15)


async def _keep_busy(bootstrap: str, topic: str, enough: asyncio.Event) -> None:
    """Publish to partition 1 until there is enough."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    n = 0
    while not enough.is_set():
        await producer.send_and_wait(topic, encoded(started("busy", [n]))[0], partition=1)
        n += 1
    await producer.stop()


async def _has(database_url: str, run: str) -> bool:
    return bool(await fetch(database_url, "SELECT 1 FROM workflow_executions WHERE temporal_run_id = $1", run))


async def test_a_mended_log_is_read_on_where_it_was_left(
    servers: Servers, database_url: str, topic: str, wex: Wex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition that damage had halted loses nothing once the damage is mended and the partition resumed."""
    file = log_file(servers, topic, 0)
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, encoded(started("a", range(10))), partitions=1)
    async with producing(servers, monkeypatch) as producer:
        await send_batch(producer, topic, 0, [(value, ()) for value in encoded(started("b", range(5)))])
    damaged = len(batches(file)) - 1
    flip(file, damaged, resealed=False)
    async with consuming(make_service(bootstrap, PostgresStore(database_url), topic)) as service:
        await until(lambda: halted(database_url, "corrupt"), "the partition is halted")
        await wex("incidents", "resume", f"{topic}/0")
        await until(lambda: _count(database_url, "incidents", 2), "it is halted again")
        flip(file, damaged, resealed=False)
        resumed = await wex("incidents", "resume", f"{topic}/0", "--reason", "the disk is back")
        assert resumed["next_offset"] == 10
        await until(lambda: applied(database_url, topic, 15), "all is applied")
        assert "is not halted" in await wex("incidents", "resume", f"{topic}/0", code=8)
    assert len(await rows(database_url)) == 15
    assert service.metrics.value("wex_rejoins_total") == 0
    kept = (await wex("incidents", "list", "--all"))["items"]
    assert [(one["resolution"], one["resolution_reason"]) for one in kept] == [
        ("resumed", "the disk is back"),
        ("resumed", None),
    ]


async def _count(database_url: str, table: str, count: int) -> bool:
    return len(await fetch(database_url, f"SELECT 1 FROM {table}")) == count


async def test_a_topic_made_anew_under_a_stopped_consumer_waits_for_the_operator(
    servers: Servers, database_url: str, topic: str, wex: Wex
) -> None:
    """Nothing of the new log is applied until the operator accepts it; then all of it is, by the same consumer."""
    bootstrap = servers.kafka_bootstrap_servers
    old, new = started("old", range(9)), started("new", range(20))
    await produce(bootstrap, topic, encoded(old), partitions=1)
    await consume_all(bootstrap, PostgresStore(database_url), topic)
    await make_anew(bootstrap, topic, new)
    async with consuming(make_service(bootstrap, PostgresStore(database_url), topic)):
        await until(lambda: halted(database_url, "recreated"), "the partition is halted")
        await _stays_until_accepted(database_url, topic, wex)


async def test_a_topic_made_anew_under_a_running_consumer_waits_for_the_operator(
    servers: Servers, database_url: str, topic: str, wex: Wex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer that had the old log open applies nothing of the new one, however much longer it is, until told to."""
    bootstrap = servers.kafka_bootstrap_servers
    # The client looks for its topic every 30 s; that much patience has only the operator of a real one.
    monkeypatch.setattr(
        source, "AIOKafkaConsumer", lambda **given: AIOKafkaConsumer(**given | {"metadata_max_age_ms": 1_000})
    )
    await produce(bootstrap, topic, encoded(started("old", range(9))), partitions=1)
    async with consuming(make_service(bootstrap, PostgresStore(database_url), topic)):
        await until(lambda: applied(database_url, topic, 9), "the old log is applied")
        await make_anew(bootstrap, topic, started("new", range(20)))
        await until(lambda: halted(database_url, "recreated"), "the partition is halted")
        await _stays_until_accepted(database_url, topic, wex)


async def _stays_until_accepted(database_url: str, topic: str, wex: Wex) -> None:
    """A resume finds the same again; accepting reads the new log from its start."""
    assert len(await rows(database_url)) == 9
    await wex("incidents", "resume", f"{topic}/0")
    await until(lambda: _count(database_url, "incidents", 2), "the log is still another one")
    assert len(await rows(database_url)) == 9
    said = await wex("incidents", "accept-gap", f"{topic}/0", "--yes")
    assert (said["accepted_from"], said["accepted_to"]) == (9, 0)
    await until(lambda: _applied_up_to(database_url, 20), "the new log is applied")
    found = names(await rows(database_url))
    assert found == {f"old-{n}" for n in range(9)} | {f"new-{n}" for n in range(20)}


async def _applied_up_to(database_url: str, offset: int) -> bool:
    return bool(await fetch(database_url, "SELECT 1 FROM positions WHERE next_offset = $1", offset))


async def test_a_shorter_log_under_the_same_name_is_read_from_its_start_once_accepted(
    servers: Servers, database_url: str, topic: str, wex: Wex
) -> None:
    """A shorter log of a topic that was made anew halts the position, and is read whole after it was accepted."""
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, encoded(started("old", range(9))), partitions=1)
    await consume_all(bootstrap, PostgresStore(database_url), topic)
    await make_anew(bootstrap, topic, started("new", range(4)))
    async with consuming(make_service(bootstrap, PostgresStore(database_url), topic)):
        await until(lambda: halted(database_url, "recreated"), "the partition is halted")
        await wex("incidents", "accept-gap", f"{topic}/0", "--yes")
        await until(lambda: _applied_up_to(database_url, 4), "the new log is applied")
    assert len(await rows(database_url)) == 13
