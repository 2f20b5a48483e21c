"""A swap that is tried again, for a reader held the table: what the try before has folded was taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import asyncpg
import pytest

from consumer.errors import WexError
from consumer.replay import catching_up
from consumer.replay import rebuild as rebuilding
from consumer.replay.log_source import LogSource
from consumer.replay.rebuild import Rebuild
from events.position import TopicPartition
from store import replays
from store.batch import LogRange
from store.replays import Step
from store.shadow import Shadow
from tests.consuming import fetch, produce
from tests.replay.applying import apply_all
from tests.replay.conftest import Rebuilding
from tests.replay.load import records
from tests.replay.test_verify import execute, verified
from tests.stack import Servers

EXECUTIONS = 20


@pytest.fixture
async def applied(servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database into which a topic was applied, but one partition of it."""
    ranges = LogSource.ranges

    async def without_last(self: LogSource, topics: Iterable[str]) -> dict[TopicPartition, LogRange]:
        return {name: log for name, log in (await ranges(self, topics)).items() if name.partition != 2}

    await produce(servers.kafka_bootstrap_servers, topic, records(EXECUTIONS))
    with monkeypatch.context() as fewer:
        fewer.setattr(LogSource, "ranges", without_last)
        await apply_all(servers.kafka_bootstrap_servers, database_url, topic)
    return database_url


async def test_a_partition_that_is_new_is_folded_by_every_try(
    servers: Servers, applied: str, topic: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition that appears just before the swap is folded again after a try that came to nothing."""
    bootstrap = servers.kafka_bootstrap_servers
    await rebuild().start()
    come_near = catching_up.come_near
    rounds = 0

    async def and_then_apply(*behind: Any) -> None:
        nonlocal rounds
        await come_near(*behind)
        rounds += 1
        if rounds == 2:  # nothing lies between this and the first try
            await apply_all(bootstrap, applied, topic)

    monkeypatch.setattr(rebuilding, "come_near", and_then_apply)
    again, tries = asyncio.Event(), 0

    def reached(step: Step) -> None:
        nonlocal tries
        tries += step is Step.LOCK
        if tries == 2:
            again.set()

    async with asyncio.timeout(30):
        holder = await asyncpg.connect(applied)
        try:
            async with holder.transaction():
                await holder.fetch("SELECT count(*) FROM workflow_executions")
                swapping = asyncio.create_task(Rebuild(bootstrap, applied, "tests", reached=reached).swap())
                await again.wait()
            await swapping
        finally:
            await holder.close()
    verdict = await verified(servers, applied)
    assert (verdict.different, verdict.executions) == (0, EXECUTIONS)


async def test_a_topic_that_is_new_is_folded_as_well(
    servers: Servers, applied: str, topic: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consumers may begin with a topic while a swap is under way; one that Kafka does not have is named."""
    bootstrap, other = servers.kafka_bootstrap_servers, f"{topic}-b"
    await produce(bootstrap, other, records(EXECUTIONS, first=EXECUTIONS))
    await rebuild().start()
    come_near = catching_up.come_near

    async def apply_before(*behind: Any) -> None:
        await apply_all(bootstrap, applied, other)
        await come_near(*behind)

    async def claim_before(*behind: Any) -> None:
        await execute(
            applied,
            "INSERT INTO positions (consumer_group, topic, partition, next_offset, fold_version)"
            " VALUES ('tests', 'nowhere', 0, 5, 1)",
        )
        await come_near(*behind)

    with monkeypatch.context() as claiming:
        claiming.setattr(rebuilding, "come_near", claim_before)
        with pytest.raises(WexError, match="Kafka has no partition nowhere/0, of which the table has a position"):
            await rebuild().swap()
    await execute(applied, "DELETE FROM positions WHERE topic = 'nowhere'")
    monkeypatch.setattr(rebuilding, "come_near", apply_before)
    await rebuild().swap()
    assert (await verified(servers, applied)).executions == 2 * EXECUTIONS


async def test_positions_of_every_group_come_and_go_with_the_table(applied: str, rebuild: Rebuilding) -> None:
    """After a swap all groups stand where the shadow does, and nobody holds a claim; a rollback puts each back."""
    await execute(
        applied,
        "INSERT INTO positions (consumer_group, topic, partition, next_offset, fold_version, state, claim_token)"
        " SELECT 'lagging', topic, partition, 1, fold_version, 'halted', gen_random_uuid() FROM positions",
    )
    whole = "SELECT (to_jsonb(p) - '{claim_token,owner}'::text[])::text AS text FROM positions AS p ORDER BY 1"
    claims = "SELECT FROM positions WHERE claim_token IS NOT NULL"
    standing = "SELECT DISTINCT topic, partition, next_offset, anchor_offset, anchor FROM positions"
    before, count = await fetch(applied, whole), len(await fetch(applied, claims))
    assert count == len(before) > 0
    await rebuild().start()
    await rebuild().swap()
    assert 2 * len(await fetch(applied, standing)) == len(before)
    assert await fetch(applied, claims) == []
    await execute(applied, "UPDATE positions SET claim_token = gen_random_uuid(), state = 'live', anchor = NULL")
    await execute(
        applied,
        "INSERT INTO positions (consumer_group, topic, partition, next_offset, fold_version)"
        " VALUES ('new', 'new', 0, 1, 1)",
    )
    await rebuild().rollback()
    assert (await fetch(applied, whole), await fetch(applied, claims)) == (before, [])


async def test_nothing_is_applied_or_migrated_while_tables_are_exchanged(
    applied: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From where a swap or a rollback has looked until its end, no position moves and no migration is recorded."""
    lock_tables, kept_out = replays.lock_tables, 0

    async def and_try(shadow: Shadow) -> None:
        nonlocal kept_out
        others = await asyncpg.connect(applied, server_settings={"lock_timeout": "50ms"})
        for what in ("UPDATE positions SET moved_at = now()", "DELETE FROM schema_migrations WHERE version = 'none'"):
            with pytest.raises(asyncpg.LockNotAvailableError):
                await others.execute(what)
            kept_out += 1
        await others.close()
        await lock_tables(shadow)

    await rebuild().start()
    monkeypatch.setattr(replays, "lock_tables", and_try)
    await rebuild().swap()
    await rebuild().rollback()
    assert kept_out == 4
