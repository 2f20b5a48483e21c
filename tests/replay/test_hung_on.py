"""What others have hung on a table is not taken along by a rollback, an abort or a drop."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from consumer.errors import ExitCode, WexError
from consumer.replay import catching_up
from consumer.replay import rebuild as rebuilding
from consumer.replay.refusals import Reason
from tests.consuming import blocked, fetch, produce, until
from tests.replay.applying import apply_all
from tests.replay.conftest import Rebuilding
from tests.replay.load import records
from tests.replay.test_verify import execute
from tests.stack import Servers

VIEW = "CREATE VIEW public.others AS SELECT status FROM workflow_executions"
FOREIGN_KEY = "CREATE TABLE public.theirs (id text REFERENCES users (id))"


@pytest.fixture
async def applied(servers: Servers, database_url: str, topic: str) -> str:
    """A database into which a topic was applied."""
    await produce(servers.kafka_bootstrap_servers, topic, records(5))
    await apply_all(servers.kafka_bootstrap_servers, database_url, topic)
    return database_url


async def test_a_rollback_and_an_abort_leave_the_views_of_others(applied: str, rebuild: Rebuilding) -> None:
    """A rollback says what would stay with the new table, and an abort drops no view with it."""
    await rebuild().start()
    await rebuild().swap()
    await execute(applied, VIEW)
    with pytest.raises(WexError, match=r"view .*others") as refused:
        await rebuild().rollback()
    assert (refused.value.exit_code, "--accept dependents" in refused.value.remedy) == (ExitCode.REFUSED, True)
    await rebuild().rollback([Reason.DEPENDENTS])
    with pytest.raises(WexError, match=r"nothing was dropped: .*others would go with wex_replay") as refused:
        await rebuild().abort()
    assert refused.value.exit_code == ExitCode.REFUSED
    [found] = await fetch(applied, "SELECT count(*) AS rows FROM public.others")
    assert found["rows"] == 5
    await execute(applied, "DROP VIEW public.others")
    await rebuild().abort()


async def test_a_drop_leaves_what_stayed_with_the_old_table(applied: str, rebuild: Rebuilding) -> None:
    """A view and a foreign key that were accepted to stay with the old table are not dropped with it."""
    await execute(applied, VIEW)
    await execute(applied, FOREIGN_KEY)
    await rebuild().start()
    await rebuild().swap([Reason.DEPENDENTS])
    with pytest.raises(WexError, match=r"constraint theirs_id_fkey .*others would go") as refused:
        await rebuild().drop()
    assert refused.value.exit_code == ExitCode.REFUSED
    await execute(applied, "DROP VIEW public.others")
    await execute(applied, "DROP TABLE public.theirs")
    await rebuild().drop()


@pytest.mark.parametrize("relation", ["workflow_executions", "execution_rows"])
async def test_a_view_that_is_made_meanwhile_is_not_dropped(applied: str, rebuild: Rebuilding, relation: str) -> None:
    """A drop waits for a view that is about to be made for the old table, and then refuses to take it along."""
    await rebuild().start()
    await rebuild().swap()
    others = await asyncpg.connect(applied)
    async with asyncio.timeout(30):
        try:
            async with others.transaction():
                await others.execute(f"CREATE VIEW public.others AS SELECT id FROM wex_replay.{relation}")
                dropping = asyncio.create_task(rebuild().drop())
                await until(lambda: blocked(applied), "the drop waits for the view")
            with pytest.raises(WexError, match=r"nothing was dropped: .*others would go with wex_replay"):
                await dropping
        finally:
            await others.close()
    [found] = await fetch(applied, "SELECT count(*) AS rows FROM public.others")
    assert found["rows"] == 5


async def test_a_view_that_is_made_during_the_swap_does_not_stay_behind(
    applied: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A swap waits for a view that is about to be made for the table, and then says so instead of leaving it behind."""
    await rebuild().start()
    others = await asyncpg.connect(applied)
    transaction = others.transaction()
    come_near, rounds = catching_up.come_near, 0

    async def and_then_make(*behind: Any) -> None:
        nonlocal rounds
        await come_near(*behind)
        rounds += 1
        if rounds == 2:
            await transaction.start()
            await others.execute(VIEW)

    monkeypatch.setattr(rebuilding, "come_near", and_then_make)
    async with asyncio.timeout(30):
        try:
            swapping = asyncio.create_task(rebuild().swap())
            await until(lambda: blocked(applied), "the swap waits for the view")
            await transaction.commit()
            with pytest.raises(WexError, match=r"would stay with the table that goes: view .*others"):
                await swapping
        finally:
            await others.close()
    monkeypatch.undo()
    await rebuild().swap([Reason.DEPENDENTS])
