"""Two consumers that were given one group instance id: Kafka lets both have every partition, and tells neither."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.chaos.crew import Member
from tests.chaos.ledger import TABLES
from tests.chaos.member import Settings
from tests.consuming import applied, encoded, fetch, produce, until
from tests.lives import event
from tests.stack import Servers

TOGETHER_SECONDS = 60
PARTITIONS = 6
RECORDS_EACH_TIME = 60


@pytest.mark.system
@pytest.mark.timeout(200)
async def test_two_members_with_one_instance_id_are_exact_and_raise_the_alarm(
    servers: Servers, database_url: str, topic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a minute two owners of everything apply each record once, and say in logs and counts that they are two."""
    loop = asyncio.get_running_loop()
    for table in TABLES.format(tablespace="").split(";"):
        await fetch(database_url, table)
    produced = await _produce(servers, topic, 0)
    port = int(servers.kafka_bootstrap_servers.rpartition(":")[2])
    settings = Settings(database_url, topic, "twins", port, port, instance_id="twin")
    twins = [Member(number, settings, tmp_path) for number in range(2)]
    try:
        for twin in twins:
            twin.begin()
        parted = loop.time() + TOGETHER_SECONDS
        while loop.time() < parted:
            produced = await _produce(servers, topic, produced)
            await asyncio.sleep(0.5)
        await twins[1].stop()
        await until(lambda: applied(database_url, topic, produced), "what is left is applied by the one that stays")
        await twins[0].stop()
    finally:
        for twin in twins:
            await twin.kill()
    [found] = await fetch(
        database_url, 'SELECT count(*) AS entries, count(DISTINCT (partition, "offset")) AS records FROM ledger'
    )
    told = [_told(twin.log.read_text()) for twin in twins]
    with capsys.disabled():
        sys.stdout.write(f"\n{produced} records, two owners for {TOGETHER_SECONDS} s: {told}\n")
    assert (found["entries"], found["records"]) == (produced, produced)
    assert sum(each["fenced"] for each in told) > 0
    assert sum(each["two owners"] + each["unstable group"] for each in told) > 0
    assert any(re.search("ERROR +(two owners|unstable group): ", twin.log.read_text()) for twin in twins)
    assert [twin.wrong_ends for twin in twins] == [[], []]


def _told(log: str) -> dict[str, int]:
    """What a consumer said of its own counts."""
    names = ("rebalances", "fenced", "rejoins fenced", "two owners", "unstable group")
    return {name: sum(map(int, re.findall(rf"since last told:(?:.*,)? {name} (\d+)", log))) for name in names}


async def _produce(servers: Servers, topic: str, produced: int) -> int:
    values = encoded(event("started", run=f"run-{produced + n}") for n in range(RECORDS_EACH_TIME))
    return produced + await produce(servers.kafka_bootstrap_servers, topic, values, partitions=PARTITIONS)
