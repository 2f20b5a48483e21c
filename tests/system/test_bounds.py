"""What the consumer needs when there is much to do, and what becomes of it while the database is away."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from consumer.local.stack import LocalStack
from store.migrate import migrate
from tests.consuming import applied, encoded, fetch, produce, until
from tests.lives import event
from tests.stack import Servers

MIB = 1_048_576
PARTITIONS, RECORDS_EACH, RECORD_BYTES = 64, 4, 1_000_000
MEMORY_MAX = 400 * MIB

AWAY_SECONDS = 120
BACK_SECONDS = 60


@asynccontextmanager
async def wex_consume(bootstrap_servers: str, url: str, topic: str, *options: str) -> AsyncIterator[Process]:
    """`wex consume` as operators run it; killed at the end if it still runs."""
    settings = {
        "WEX_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "WEX_DATABASE_URL": url,
        "WEX_TOPICS": topic,
        "WEX_CONSUMER_GROUP": f"bounds-{topic}",
    }
    command = (sys.executable, "-m", "consumer", "consume", "--log-json", *options)
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=root, env={**os.environ, **settings}, stdout=DEVNULL, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def peak_bytes(process: Process) -> int:
    """The most memory that a process has held so far; 0 once it is gone."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


@pytest.mark.system
@pytest.mark.timeout(300)
async def test_a_backlog_of_large_records_in_many_partitions_stays_within_bounds(
    servers: Servers, database_url: str, topic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """64 partitions with a backlog of records of a megabyte each are applied within a bounded memory."""
    count = PARTITIONS * RECORDS_EACH
    values = [large_record(number) for number in range(count)]
    await produce(servers.kafka_bootstrap_servers, topic, values, partitions=PARTITIONS)
    peak = 0
    async with wex_consume(servers.kafka_bootstrap_servers, database_url, topic, "--until-caught-up") as process:
        log = asyncio.create_task(_drained(process))
        while process.returncode is None:
            peak = max(peak, peak_bytes(process))
            await asyncio.sleep(0.05)
        assert process.returncode == 0, await log
    with capsys.disabled():
        sys.stdout.write(
            f"\n{count} records of {RECORD_BYTES:,} bytes in {PARTITIONS} partitions: {peak / MIB:.0f} MiB\n"
        )
    assert 0 < peak < MEMORY_MAX
    [found] = await fetch(database_url, "SELECT count(*) AS rows FROM workflow_executions")
    assert found["rows"] == count


def large_record(number: int) -> bytes:
    """An event of a run of its own, with a field that nobody knows and that fills the record."""
    value = encoded([event("started", run=f"run-{number}")])[0]
    assert value is not None
    padding = b'"padding":"%s",' % (b"x" * (RECORD_BYTES - len(value)))
    return value.replace(b'"workflow_id":', padding + b'"workflow_id":', 1)


async def _drained(process: Process) -> list[str]:
    """Everything that a process logs, read as it comes."""
    assert process.stderr is not None
    return [line.decode() async for line in process.stderr]


@pytest.mark.system
@pytest.mark.timeout(400)
async def test_two_minutes_without_the_database_cost_nothing(tmp_path: Path, topic: str) -> None:
    """PostgreSQL is away for two minutes: no dead letter, one generation, and soon no lag once it is back."""
    loop = asyncio.get_running_loop()
    with LocalStack(tmp_path / "stack") as stack:
        bootstrap, url = stack.kafka_bootstrap_servers, stack.database_url
        await migrate(url)
        await produce(bootstrap, topic, encoded(event("started", run=f"before-{n}") for n in range(300)))
        async with wex_consume(bootstrap, url, topic) as process:
            log = asyncio.create_task(_drained(process))
            await until(lambda: applied(url, topic, 300), "what was there before is applied")
            await asyncio.to_thread(stack.postgres.kill)
            away_until = loop.time() + AWAY_SECONDS
            produced = 300
            while loop.time() < away_until:
                produced += await produce(
                    bootstrap, topic, encoded(event("started", run=f"{produced}-{n}") for n in range(30))
                )
                await asyncio.sleep(1)
            await asyncio.to_thread(stack.postgres.start)
            back = loop.time()
            while not await applied(url, topic, produced):
                assert loop.time() - back < BACK_SECONDS, "the lag must be gone soon after the database is back"
                await asyncio.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0
        [found] = await fetch(url, "SELECT count(*) AS letters FROM dead_letters")
        [shown] = await fetch(url, "SELECT count(*) AS rows FROM workflow_executions")
    assert (found["letters"], shown["rows"]) == (0, produced)
    assigned = [line for line in await log if json.loads(line)["message"].startswith("assigned ")]
    assert 1 <= len(assigned) <= 2, "at most one change of generation"
