"""A replay is swapped in while events are applied and readers read: no error, nothing falls back, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from consumer.replay.verify import Question, verify
from store import PostgresStore
from tests.consuming import applied, consume_all, fetch, produce, until
from tests.replay.load import EVENTS_EACH, records
from tests.stack import Servers
from tests.system.test_bounds import wex_consume

EXECUTIONS = 500  # before the load begins
EVENTS_PER_SECOND = 2_000
SECONDS_AFTER = 2  # the load lasts so long after the swap
SECONDS_MAX = 90
READS_PER_SECOND = 200
SLOWEST_SECONDS = 2.0


@dataclass
class Reading:
    """What a loop of readers has seen."""

    reads: int = 0
    longest: float = 0.0
    problems: list[str] = field(default_factory=list)


async def read_until(stopping: asyncio.Event, url: str, seen: Reading) -> None:
    """Read all the time: no row disappears, no execution that has ended runs again, no position goes back."""
    loop = asyncio.get_running_loop()
    connection = await asyncpg.connect(url)
    least = 0
    try:
        while not stopping.is_set():
            begun = loop.time()
            [found] = await connection.fetch(
                "SELECT (SELECT sum(next_offset) FROM positions) AS applied,"
                " (SELECT status FROM execution_rows"
                "  WHERE namespace = 'default' AND temporal_workflow_id = $1) AS status",
                f"order-{4 * (seen.reads % (EXECUTIONS // 4))}",
            )
            seen.reads += 1
            seen.longest = max(seen.longest, loop.time() - begun)
            if found["applied"] < least or found["status"] != "completed":
                seen.problems.append(f"{found} after {least}")
            least = found["applied"]
            await asyncio.sleep(max(0, begun + 1 / READS_PER_SECOND - loop.time()))
    except (asyncpg.PostgresError, OSError) as error:
        seen.problems.append(repr(error))
    finally:
        await connection.close()


async def produce_until(stopping: asyncio.Event, servers: str, topic: str) -> int:
    """Write so many events per second until it is time to stop; return how many that were."""
    loop = asyncio.get_running_loop()
    producer = AIOKafkaProducer(bootstrap_servers=servers, linger_ms=5)
    await producer.start()
    count = 0
    begun = loop.time()
    try:
        for value in records(EVENTS_PER_SECOND * SECONDS_MAX // EVENTS_EACH, first=EXECUTIONS):
            await producer.send(topic, value, partition=count % 3)
            count += 1
            if count % (20 * EVENTS_EACH) == 0:
                if stopping.is_set():
                    break
                await asyncio.sleep(max(0, begun + count / EVENTS_PER_SECOND - loop.time()))
    finally:
        await producer.stop()
    return count


async def wex(servers: Servers, url: str, *arguments: str) -> dict[str, object]:
    """Run `wex` as operators do, and return what it says to programs."""
    settings = ("--kafka-bootstrap-servers", servers.kafka_bootstrap_servers, "--database-url", url, "--json")
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("wex"), *arguments, *settings, stdout=PIPE, stderr=PIPE
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    found: dict[str, object] = json.loads(said)
    return found


@pytest.mark.system
@pytest.mark.timeout(240)
async def test_a_swap_under_load_is_not_seen(
    servers: Servers, database_url: str, topic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With 2,000 events and 200 reads per second a replay is swapped in: no reader notices, and the table is exact."""
    bootstrap = servers.kafka_bootstrap_servers
    before = await produce(bootstrap, topic, records(EXECUTIONS))
    await consume_all(bootstrap, PostgresStore(database_url), topic, group=f"bounds-{topic}")
    loop = asyncio.get_running_loop()
    stopping, enough, seen = asyncio.Event(), asyncio.Event(), Reading()
    async with wex_consume(bootstrap, database_url, topic):
        await wex(servers, database_url, "replay", "start")
        reading = asyncio.create_task(read_until(stopping, database_url, seen))
        begun = loop.time()
        producing = asyncio.create_task(produce_until(enough, bootstrap, topic))
        much = before + EVENTS_PER_SECOND
        await until(lambda: applied(database_url, topic, much), "the consumer applies the load")
        swapped = await wex(servers, database_url, "replay", "swap")
        await asyncio.sleep(SECONDS_AFTER)
        assert not producing.done(), "the load must last until after the swap"
        enough.set()
        count = await producing
        rate = count / (loop.time() - begun)
        await until(lambda: applied(database_url, topic, before + count), "everything is applied")
        stopping.set()
        await reading
    with capsys.disabled():
        stall = f"{seen.reads} reads, the longest took {seen.longest * 1000:.0f} ms"
        sys.stdout.write(f"\n{stall}; {rate:,.0f} events per second; swap: {swapped}\n")
    assert seen.problems == []
    assert seen.longest < SLOWEST_SECONDS
    verdict = await verify(bootstrap, database_url, f"bounds-{topic}", Question(), lambda *_: None)
    assert (verdict.different, verdict.executions) == (0, (before + count) // EVENTS_EACH)
    [letters] = await fetch(database_url, "SELECT count(*) AS letters FROM dead_letters")
    assert letters["letters"] == 0
