"""`wex consume` asked to end, in every phase that it can be in: a real process, real signals, real servers."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator

import asyncpg
import pytest

from tests.consuming import PostgresStore, applied, consume_all, encoded, fetch, produce, rows, until
from tests.ending.consume_process import consuming, count_is
from tests.kafka.test_incidents import delete_records
from tests.lives import event
from tests.stack import Servers

EVENTS = encoded([event("started", n, run=f"r{n}") for n in range(30)])
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

Settings = dict[str, str]


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


async def claims(database_url: str) -> int:
    """How many claims there are."""
    found = await fetch(database_url, "SELECT count(claim_token) FROM positions")
    return int(found[0][0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_an_idle_consumer_releases_what_it_has_and_ends_well(
    servers: Servers, database_url: str, topic: str, settings: Settings, number: signal.Signals
) -> None:
    """Each of the signals that ask for an end ends it with code 0, and without its claims."""
    await produce(servers.kafka_bootstrap_servers, topic, EVENTS)
    async with consuming(settings) as running:
        await until(lambda: applied(database_url, topic, len(EVENTS)), "all is applied")
        assert await claims(database_url) == 3
        assert await running.ended_by(number) == 0
        assert running.has_said("stopping")
    assert await claims(database_url) == 0


async def test_a_consumer_under_lag_applies_what_it_has_accepted_and_no_more(
    servers: Servers, database_url: str, topic: str, settings: Settings
) -> None:
    """What is left is applied by the next one, from where the first has stopped."""
    events = encoded([event("started", n % 50, run=f"r{n}", input="x" * 200) for n in range(12_000)])
    await produce(servers.kafka_bootstrap_servers, topic, events)
    async with consuming(settings) as running:
        await until(lambda: applied(database_url, topic, 1), "something is applied")
        assert await running.ended_by(signal.SIGTERM) == 0
    moved = (await fetch(database_url, "SELECT sum(next_offset)::bigint FROM positions"))[0][0]
    assert moved < len(events), "it has to be asked while there is lag"
    assert (await fetch(database_url, "SELECT count(*) FROM workflow_executions"))[0][0] == moved
    assert await claims(database_url) == 0


@pytest.mark.parametrize("setting", ["WEX_DATABASE_URL", "WEX_KAFKA_BOOTSTRAP_SERVERS"])
async def test_a_server_that_says_nothing_at_the_start_keeps_no_consumer_from_ending(
    settings: Settings, silent_server: socket.socket, setting: str
) -> None:
    """Whether it waits for PostgreSQL or for Kafka, there is nothing to drain."""
    address = "{}:{}".format(*silent_server.getsockname())
    value = f"postgresql://somebody@{address}/x" if setting == "WEX_DATABASE_URL" else address
    async with consuming(settings | {setting: value}) as running:
        connection, _ = await asyncio.get_running_loop().sock_accept(silent_server)
        assert await running.ended_by(signal.SIGTERM) == 0
        connection.close()


async def test_a_consumer_that_waits_for_the_group_ends(
    servers: Servers, database_url: str, topic: str, settings: Settings
) -> None:
    """A rebalance that does not come to its end, because a member is frozen, is not waited for."""
    await produce(servers.kafka_bootstrap_servers, topic, EVENTS)
    async with consuming(settings) as frozen:
        await until(lambda: applied(database_url, topic, len(EVENTS)), "all is applied")
        frozen.process.send_signal(signal.SIGSTOP)
        async with consuming(settings | {"WEX_HTTP_PORT": "0"}) as joining:
            await joining.says("listening")
            assert await joining.ended_by(signal.SIGTERM) == 0
            assert not joining.has_said("joined")


async def test_a_consumer_whose_partitions_are_dealt_anew_ends(
    servers: Servers, database_url: str, topic: str, settings: Settings
) -> None:
    """One that is asked to end while another joins leaves everything to the other."""
    await produce(servers.kafka_bootstrap_servers, topic, EVENTS)
    async with consuming(settings) as leaving:
        await until(lambda: applied(database_url, topic, len(EVENTS)), "all is applied")
        async with consuming(settings | {"WEX_HTTP_PORT": "0"}) as joining:
            await joining.says("listening")
            assert await leaving.ended_by(signal.SIGTERM) == 0
            await produce(servers.kafka_bootstrap_servers, topic, EVENTS)
            await until(lambda: applied(database_url, topic, 2 * len(EVENTS)), "the other one goes on")
            assert await joining.ended_by(signal.SIGTERM) == 0


async def test_a_consumer_that_waits_for_the_database_ends(
    servers: Servers, database_url: str, topic: str, settings: Settings
) -> None:
    """Between two tries nobody waits for the next; the claims stay, for whoever claims next."""
    await produce(servers.kafka_bootstrap_servers, topic, EVENTS)
    name = database_url.rpartition("/")[2]
    async with consuming(settings) as running:
        await until(lambda: applied(database_url, topic, len(EVENTS)), "all is applied")
        await fetch(servers.database_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            gone = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
            await fetch(servers.database_url, gone, name)
            await produce(servers.kafka_bootstrap_servers, topic, EVENTS)
            await running.says("database_failed")
            assert await running.ended_by(signal.SIGTERM) == 0
        finally:
            await fetch(servers.database_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    assert await claims(database_url) == 3
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic, group=topic)
    assert len(await rows(database_url)) == len(EVENTS)


async def test_a_halted_consumer_ends(servers: Servers, database_url: str, topic: str, settings: Settings) -> None:
    """A halt holds a partition, and not the process."""
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, EVENTS, partitions=1)
    await consume_all(bootstrap, PostgresStore(database_url), topic, group=topic)
    await produce(bootstrap, topic, EVENTS, partitions=1)
    await delete_records(bootstrap, topic, 45)
    async with consuming(settings) as running:
        await running.says("halted")
        assert await running.ended_by(signal.SIGTERM) == 0
    assert await claims(database_url) == 0


@pytest.mark.parametrize(
    ("limit", "second", "code"), [("0.5", None, 0), ("60", signal.SIGTERM, 143), ("60", signal.SIGINT, 130)]
)
async def test_a_drain_has_its_time_and_a_second_signal_ends_it_at_once(
    servers: Servers,
    database_url: str,
    topic: str,
    settings: Settings,
    limit: str,
    second: signal.Signals | None,
    code: int,
) -> None:
    """While somebody holds its row, a drain waits as long as it may, or until it is asked twice; nothing is lost."""
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, [])
    holder = await asyncpg.connect(database_url)
    async with consuming(settings | {"WEX_DRAIN_TIMEOUT_SECONDS": limit}) as running, holder.transaction():
        await running.says("claimed")
        await holder.execute("SELECT 1 FROM positions FOR UPDATE")
        await produce(bootstrap, topic, EVENTS)
        await until(count_is(holder, WAITING, 1), "it waits for the row")
        running.process.send_signal(signal.SIGTERM)
        await running.says("stopping")
        assert await running.ended_by(second) == code
        assert not running.has_said("database_failed"), "it waited for the lock to the end"
        assert running.has_said("drain_timed_out") == (second is None)
    await holder.close()
    await consume_all(bootstrap, PostgresStore(database_url), topic, group=topic)
    assert len(await rows(database_url)) == len(EVENTS)
