"""Dead letters that are redriven while a command works on the log: nothing of them is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from consumer import batch
from consumer.errors import ExitCode, WexError
from consumer.redrive import Redrive
from consumer.replay import catching_up
from consumer.replay import rebuild as rebuilding
from consumer.replay.folding import Folding
from events import Event
from events.codec import Skipped, decode
from events.errors import InvalidEvent
from store.dead_letters import EVERY_OPEN, DeadLetterReader, DeadLetterStore
from tests.consuming import blocked, fetch, produce, until
from tests.replay.applying import apply_all
from tests.replay.conftest import Rebuilding
from tests.replay.load import records
from tests.replay.test_verify import verified
from tests.stack import Servers

LETTERS = "SELECT redrive_outcome FROM dead_letters"


def stricter(value: bytes | None, headers: Any = ()) -> Event | Skipped:
    """A release that does not read one event yet."""
    if b'"8-completed"' in (value or b""):
        raise InvalidEvent("too_old", "data", "made up")
    return decode(value, headers)


@pytest.fixture
async def applied(servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database into which a topic was applied, but one record, which is a dead letter."""
    await produce(servers.kafka_bootstrap_servers, topic, records(20))
    with monkeypatch.context() as old:
        old.setattr(batch, "decode", stricter)
        await apply_all(servers.kafka_bootstrap_servers, database_url, topic)
    return database_url


async def redrive(database_url: str) -> None:
    """Redrive every open letter."""
    store = DeadLetterStore(database_url)
    try:
        async with DeadLetterReader(database_url) as reader:
            await Redrive(reader, store, "ann").run(EVERY_OPEN)
    finally:
        await store.close()


async def status(database_url: str) -> str:
    """What the table says of the execution that the letter is about."""
    [row] = await fetch(database_url, "SELECT status FROM workflow_executions WHERE temporal_run_id = 'run-8'")
    shown: str = row["status"]
    return shown


async def test_a_letter_that_is_redriven_before_the_swap_is_not_lost(
    servers: Servers, applied: str, rebuild: Rebuilding
) -> None:
    """A shadow that left a letter out does not take the place of a table that has it by now."""
    await rebuild().start()
    await redrive(applied)
    before = await status(applied)
    for refused in (rebuild().start(), rebuild().diff(1), rebuild().swap()):
        with pytest.raises(WexError, match="1 dead letters were redriven since the shadow was begun") as error:
            await refused
        assert (error.value.exit_code, "wex replay abort" in error.value.remedy) == (ExitCode.REFUSED, True)
    await rebuild().abort()
    await rebuild().start()
    await rebuild().swap()
    assert await status(applied) == before
    assert (await verified(servers, applied)).different == 0


async def test_a_letter_that_is_redriven_during_the_swap_is_not_lost(
    applied: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The swap looks once more, when nothing can be redriven any more."""
    await rebuild().start()
    come_near, rounds = catching_up.come_near, 0

    async def and_then_redrive(*behind: Any) -> None:
        nonlocal rounds
        await come_near(*behind)
        rounds += 1
        if rounds == 2:
            await redrive(applied)

    monkeypatch.setattr(rebuilding, "come_near", and_then_redrive)
    with pytest.raises(WexError, match="redriven since"):
        await rebuild().swap()
    assert await status(applied) == "completed"


async def test_a_letter_that_is_redriven_during_a_repair_is_not_taken_back(
    servers: Servers, applied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verify and repair do not take what was redriven meanwhile for a difference."""
    fold_to, rounds = Folding.fold_to, 0

    async def and_then_redrive(self: Folding, ends: Any) -> None:
        nonlocal rounds
        await fold_to(self, ends)
        rounds += 1
        if rounds == 1:
            await redrive(applied)

    monkeypatch.setattr(Folding, "fold_to", and_then_redrive)
    with pytest.raises(WexError, match="a dead letter was redriven meanwhile"):
        await verified(servers, applied, repair=True)
    assert await status(applied) == "completed"
    assert (await verified(servers, applied, repair=True)).different == 0


async def test_a_letter_that_is_redriven_after_the_swap_is_not_rolled_back(applied: str, rebuild: Rebuilding) -> None:
    """A rollback refuses to give up what was redriven into the new table alone."""
    await rebuild().start()
    await rebuild().swap()
    await redrive(applied)
    with pytest.raises(WexError, match="1 dead letters were redriven after the swap") as error:
        await rebuild().rollback()
    assert error.value.exit_code == ExitCode.REFUSED
    assert await status(applied) == "completed"


async def test_a_redriven_letter_that_the_new_fold_refuses_is_open_again(
    servers: Servers, applied: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a redriven letter holds and the new table lacks is a letter again, bytes and all; a rollback closes it."""
    await redrive(applied)
    store = DeadLetterStore(applied)
    [letter] = await fetch(applied, "SELECT id, value FROM dead_letters")
    assert await store.purge([letter["id"]], "ann", None) == 1
    await store.close()
    before = await fetch(applied, "SELECT * FROM dead_letters")
    with monkeypatch.context() as newer:
        newer.setattr(batch, "decode", stricter)
        for _ in range(2):
            await rebuild().start()
            await rebuild().swap()
            assert await status(applied) == "running"
            [found] = await fetch(applied, "SELECT value, redrive_outcome FROM dead_letters")
            assert (found["value"], found["redrive_outcome"]) == (letter["value"], "too_old")
            verdict = await verified(servers, applied)
            assert (verdict.different, verdict.folded.left_out, verdict.folded.refused) == (0, 1, 0)
            await rebuild().rollback()
            assert await status(applied) == "completed"
            assert await fetch(applied, "SELECT * FROM dead_letters") == before
        await rebuild().swap()
    await redrive(applied)
    assert await status(applied) == "completed"
    await rebuild().rollback()
    assert await status(applied) == "completed"
    assert [r["redrive_outcome"] for r in await fetch(applied, LETTERS)] == ["applied"]


async def test_a_rollback_that_a_redrive_locks_out_is_tried_again(
    applied: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback and a redrive that wait for each other's letters: the rollback gives way, and comes to its end."""

    def refuses_two(value: bytes | None, headers: Any = ()) -> Event | Skipped:
        if b'"7-' in (value or b"") and b"heartbeat" not in (value or b""):
            raise InvalidEvent("too_old", "data", "made up")
        return decode(value, headers)

    monkeypatch.setattr(batch, "decode", refuses_two)
    await rebuild().start()
    await rebuild().swap()
    first, second = [r["id"] for r in await fetch(applied, "SELECT id FROM wex_replay.adopted ORDER BY id")]
    redriving = await asyncpg.connect(applied, server_settings={"deadlock_timeout": "60s"})  # it does not give way
    lock = "SELECT FROM dead_letters WHERE id = $1 FOR UPDATE"
    async with asyncio.timeout(30):
        try:
            async with redriving.transaction():
                await redriving.execute(lock, second)
                rolling_back = asyncio.create_task(rebuild().rollback())
                await until(lambda: blocked(applied), "the rollback waits for a letter")
                await redriving.execute(lock, first)
            await rolling_back
        finally:
            await redriving.close()
    assert [r["redrive_outcome"] for r in await fetch(applied, LETTERS)] == [None]
