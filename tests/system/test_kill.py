"""Kill -9 of the consumer within open transactions, against a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition as KafkaPartition

from events import Event, ExecutionRow, decode, fold, row
from events.catalogue import Catalogue
from tests import oracle
from tests.consuming import encoded, fetch, produce, rows
from tests.lives import LIVES, life
from tests.stack import Servers
from tests.system import ledger_consumer

KILLS = 20
PARTITIONS = 4
COPIES = 120  # of each of the lives: 27,000 events, far more than the killed consumers apply


@asynccontextmanager
async def consumer(servers: Servers, database_url: str, topic: str, hold_after: int | None) -> AsyncIterator[Process]:
    """The ledger consumer as a process of its own; killed at the end, whatever happened."""
    hold = "-" if hold_after is None else str(hold_after)
    command = (ledger_consumer.__file__, servers.kafka_bootstrap_servers, database_url, topic, hold)
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=PIPE, cwd=root, env={"PYTHONPATH": str(root)}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def log_of(servers: Servers, topic: str) -> dict[int, list[bytes | None]]:
    """Everything that is in a topic, by partition."""
    reader = AIOKafkaConsumer(bootstrap_servers=servers.kafka_bootstrap_servers, auto_offset_reset="earliest")
    await reader.start()
    try:
        partitions = [KafkaPartition(topic, n) for n in range(PARTITIONS)]
        reader.assign(partitions)
        ends = await reader.end_offsets(partitions)
        log: dict[int, list[bytes | None]] = {n: [] for n in range(PARTITIONS)}
        while any(len(log[tp.partition]) < end for tp, end in ends.items()):
            for tp, records in (await reader.getmany(timeout_ms=500)).items():
                log[tp.partition] += [record.value for record in records]
    finally:
        await reader.stop()
    return log


@pytest.mark.system
@pytest.mark.timeout(400)
async def test_twenty_kills_within_open_transactions_lose_and_double_nothing(
    servers: Servers, database_url: str, topic: str
) -> None:
    """After 20 kills in open transactions under lag, the table is the fold and the ledger has each record once."""
    chance = random.Random(20)
    connection = await asyncpg.connect(database_url)
    await connection.execute(ledger_consumer.LEDGER)
    runs = [(number, copy) for number in range(1, len(LIVES) + 1) for copy in range(COPIES)]
    events = [event for number, copy in runs for event in life(number, run=f"{number}-{copy}")[0]]
    chance.shuffle(events)
    total = await produce(servers.kafka_bootstrap_servers, topic, encoded(events), partitions=PARTITIONS)

    for _ in range(KILLS):
        async with consumer(servers, database_url, topic, hold_after=chance.randrange(4)) as process:
            assert process.stdout is not None
            assert await asyncio.wait_for(process.stdout.readline(), 30) == b"open\n"
            open_transactions = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'workflow-executions' AND state = 'idle in transaction'"
            )
            applied = await connection.fetchval("SELECT sum(next_offset) FROM positions") or 0
            assert open_transactions == 1, "the kill must hit an open transaction"
            assert applied < total, "the kill must hit while there is lag"
            process.send_signal(signal.SIGKILL)
            assert await process.wait() == -signal.SIGKILL
    async with consumer(servers, database_url, topic, hold_after=None) as process:
        assert await asyncio.wait_for(process.wait(), 120) == 0

    log = await log_of(servers, topic)
    entered = await connection.fetch('SELECT partition, "offset" FROM ledger')
    await connection.close()
    assert Counter(tuple(r) for r in entered) == Counter((n, o) for n in log for o in range(len(log[n])))
    await assert_tables_equal_the_fold(database_url, [value for values in log.values() for value in values])


def assert_oracle_allows(found: Mapping[UUID, ExecutionRow], log: list[bytes | None]) -> None:
    """Hold rows against the oracle, which shares no code with what made them."""
    by_run: dict[tuple[str, str], list[oracle.Happening]] = {}
    for value in log:
        happening = oracle.read(value or b"")
        by_run.setdefault((happening["temporal_workflow_id"], happening["temporal_run_id"]), []).append(happening)
    assert len(by_run) == len(found)
    for each in found.values():
        allowed = oracle.rows_for(by_run[each.temporal_workflow_id, each.temporal_run_id])
        for column, values in allowed.items():
            assert getattr(each, column) in values, f"{column} of {each.temporal_run_id}"


async def assert_tables_equal_the_fold(database_url: str, log: list[bytes | None]) -> None:
    """Compare every column of every table that is fed by events with the whole log: by our fold, and by the oracle."""
    decoded = [event for event in map(decode, log) if isinstance(event, Event)]
    by_run: dict[object, list[Event]] = {}
    for event in decoded:
        by_run.setdefault(event.execution_id, []).append(event)
    found = await rows(database_url)
    assert found == {id_: row(fold(events)) for id_, events in by_run.items()}
    assert_oracle_allows(found, log)
    catalogue = Catalogue.of(decoded)
    workflows = await fetch(database_url, "SELECT namespace, id, created_at, name_order, name FROM workflows")
    assert {(r["namespace"], r["id"]): tuple(r)[2:] for r in workflows} == catalogue.workflows
    users = await fetch(database_url, "SELECT id, created_at FROM users")
    assert {r["id"]: r["created_at"] for r in users} == catalogue.users
