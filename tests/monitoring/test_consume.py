"""A consumer seen from outside: `wex consume` as a process, on a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from consumer.incident_kinds import KINDS
from consumer.monitoring.log_events import LOG_EVENTS
from tests.consuming import PostgresStore, applied, consume_all, encoded, fetch, produce, until
from tests.kafka.test_incidents import delete_records
from tests.lives import event
from tests.monitoring.consumer_process import consumer
from tests.monitoring.scraping import Samples, ask, scrape, total
from tests.stack import Servers


@pytest.fixture
def settings(servers: Servers, database_url: str, topic: str, tmp_path: Path) -> dict[str, str]:
    """The settings of a consumer of the test's own topic, on any free port."""
    return {
        "WEX_KAFKA_BOOTSTRAP_SERVERS": servers.kafka_bootstrap_servers,
        "WEX_DATABASE_URL": database_url,
        "WEX_TOPICS": topic,
        "WEX_CONSUMER_GROUP": "tests",
        "WEX_DATA_DIR": str(tmp_path),
        "WEX_HTTP_PORT": "0",
    }


def shows(url: str, condition: Callable[[Samples], bool]) -> Callable[[], Awaitable[bool]]:
    """Whether the metrics meet a condition now."""

    async def look() -> bool:
        return condition(await asyncio.to_thread(scrape, url))

    return look


def answers(url: str, path: str, status: int) -> Callable[[], Awaitable[bool]]:
    """Whether a path is answered with a status now."""

    async def look() -> bool:
        return (await asyncio.to_thread(ask, url, path))[0] == status

    return look


@pytest.mark.timeout(180)
async def test_lag_goes_up_and_down_and_everything_is_counted(
    servers: Servers, database_url: str, topic: str, settings: dict[str, str]
) -> None:
    """While the table cannot move, lag grows in records and seconds; afterwards it is 0, and the counts are exact."""
    good = encoded([event("started", n, run=f"r{n}") for n in range(300)])
    await produce(servers.kafka_bootstrap_servers, topic, [*good[:200], b"no event", None, *good[200:]])
    async with consumer(settings) as running:
        await until(shows(running.url, lambda s: total(s, "wex_ready") == 1), "it is ready")
        await until(lambda: applied(database_url, topic, 302), "all is applied")
        await until(shows(running.url, lambda s: total(s, "wex_lag_age_seconds") < 6), "the ends are known")
        await until(shows(running.url, lambda s: total(s, "wex_lag_records") == 0), "there is no lag")

        holder = await asyncpg.connect(database_url)
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM positions FOR UPDATE")
            await produce(servers.kafka_bootstrap_servers, topic, good)
            await until(shows(running.url, lambda s: total(s, "wex_lag_records") == 300), "lag goes up")
            await until(shows(running.url, lambda s: total(s, "wex_oldest_unapplied_seconds") > 3), "and grows old")
            await until(
                shows(running.url, lambda s: total(s, "wex_database_errors_total", action="retry") > 0),
                "it tries again",
            )
        await holder.close()
        await until(shows(running.url, lambda s: total(s, "wex_lag_records") == 0), "lag goes down")
        samples = await asyncio.to_thread(scrape, running.url)

    assert total(samples, "wex_lag_seconds") == total(samples, "wex_oldest_unapplied_seconds") == 0
    assert total(samples, "wex_records_total", outcome="applied", verb="started") == 600
    assert total(samples, "wex_records_total", outcome="tombstone") == 1
    assert total(samples, "wex_dead_letters_total", reason="not_json") == 1
    assert total(samples, "wex_records_total") == total(samples, "wex_batch_records_sum") == 602
    assert total(samples, "wex_merges_total", outcome="changed") == 300
    assert total(samples, "wex_merges_total", outcome="unchanged") == 300
    assert total(samples, "wex_latency_seconds_count") >= 6
    assert total(samples, "wex_apply_seconds_count") == total(samples, "wex_batch_records_count") > 0
    assert total(samples, "wex_rebalances_total") == 1
    assert total(samples, "process_resident_memory_bytes") > 1_000_000
    events = {line["event"] for line in running.said}
    assert {"listening", "joined", "assigned", "claimed", "dead_letter", "database_failed", "stopping"} <= events
    assert events <= {*LOG_EVENTS, "library"}
    [letter] = [line for line in running.said if line["event"] == "dead_letter"]
    assert (letter["reason"], letter["record"].partition("/")[0]) == ("not_json", topic)


@pytest.mark.timeout(180)
async def test_an_outage_of_the_database_is_not_ready_and_not_unhealthy(
    servers: Servers, database_url: str, topic: str, settings: dict[str, str]
) -> None:
    """While the database lets nobody in, /readyz answers 503 and /healthz 200; both are 200 afterwards."""
    await produce(servers.kafka_bootstrap_servers, topic, encoded([event("started")]))
    name = database_url.rpartition("/")[2]
    async with consumer(settings) as running:
        await until(answers(running.url, "/readyz", 200), "it is ready")
        await fetch(servers.database_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await fetch(
            servers.database_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
        await until(answers(running.url, "/readyz", 503), "it is not ready")
        assert (await asyncio.to_thread(ask, running.url, "/healthz"))[0] == 200
        samples = await asyncio.to_thread(scrape, running.url)
        await fetch(servers.database_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await until(answers(running.url, "/readyz", 200), "it is ready again")
    assert total(samples, "wex_database_errors_total", action="retry") > 0
    assert total(samples, "wex_database_errors_total") == total(samples, "wex_database_errors_total", action="retry")
    assert total(samples, "wex_dead_letters_total") == 0


@pytest.mark.timeout(180)
async def test_a_stuck_loop_is_seen_while_it_is_stuck(servers: Servers, topic: str, settings: dict[str, str]) -> None:
    """A loop that stands still answers 503 on /healthz from the thread that lives, and 200 once it turns again."""
    await produce(servers.kafka_bootstrap_servers, topic, [])
    async with consumer(settings) as running:
        await until(answers(running.url, "/readyz", 200), "it is ready")
        assert (await asyncio.to_thread(ask, running.url, "/healthz"))[0] == 200
        running.block()
        await until(answers(running.url, "/healthz", 503), "it is stuck")
        stuck = await asyncio.to_thread(scrape, running.url)
        assert total(stuck, "wex_loop_silent_seconds") > 10
        assert total(stuck, "wex_ready") == 0
        await until(answers(running.url, "/healthz", 200), "it turns again")
        await until(answers(running.url, "/readyz", 200), "it is ready again")


@pytest.mark.timeout(180)
async def test_a_halted_partition_is_seen_and_its_lag_grows(
    servers: Servers, database_url: str, topic: str, settings: dict[str, str]
) -> None:
    """A partition that an incident holds is named, its lag grows though nobody reads it, and its member is ready."""
    bootstrap = servers.kafka_bootstrap_servers
    values = encoded([event("started", n, run=f"r{n}") for n in range(30)])
    await produce(bootstrap, topic, values)
    await consume_all(bootstrap, PostgresStore(database_url), topic)
    await produce(bootstrap, topic, values)
    await delete_records(bootstrap, topic, 15)
    async with consumer(settings) as running:
        await until(shows(running.url, lambda s: total(s, "wex_partition_halted", partition="0") == 1), "it is halted")
        await until(shows(running.url, lambda s: total(s, "wex_lag_records", partition="0") == 10), "and has lag")
        await produce(bootstrap, topic, values)
        await until(shows(running.url, lambda s: total(s, "wex_lag_records", partition="0") == 20), "which grows")
        await until(shows(running.url, lambda s: total(s, "wex_lag_records") == 20), "the others go on")
        samples = await asyncio.to_thread(scrape, running.url)
        status, said = await asyncio.to_thread(ask, running.url, "/readyz")
    assert total(samples, "wex_partition_halted") == total(samples, "wex_partitions", state="halted") == 1
    assert total(samples, "wex_partitions", state="claimed") == 2
    assert total(samples, "wex_incidents_total", kind="gap") == total(samples, "wex_incidents_total") == 1
    assert {dict(labels)["kind"] for name, labels in samples if name == "wex_incidents_total"} == set(KINDS)
    assert total(samples, "wex_lag_seconds", partition="0") > 0
    assert (status, f'"halted": ["{topic}/0"]' in said) == (200, True)
    assert [line["kind"] for line in running.said if line["event"] == "halted"] == ["gap"]


@pytest.mark.timeout(180)
async def test_two_consumers_on_one_machine_need_no_settings(
    servers: Servers, topic: str, settings: dict[str, str]
) -> None:
    """With the default port taken by one consumer the next takes any; one that was told a taken port does not start."""
    await produce(servers.kafka_bootstrap_servers, topic, [])
    del settings["WEX_HTTP_PORT"]
    async with consumer(settings) as first, consumer(settings) as second:
        assert first.url != second.url
        await until(answers(first.url, "/readyz", 200), "the first is ready")
        await until(answers(second.url, "/readyz", 200), "the second is ready")
        told = settings | {"WEX_HTTP_PORT": second.url.rpartition(":")[2]}
        with pytest.raises((AssertionError, ValueError)):
            async with consumer(told):
                pass
