"""Migrations that come between a shadow and the table: neither takes the other's place then."""

from __future__ import annotations

from typing import Any

import pytest

from consumer.errors import ExitCode, WexError
from consumer.replay import catching_up
from consumer.replay import rebuild as rebuilding
from store.replays import Step
from tests.consuming import fetch, produce
from tests.replay.applying import apply_all
from tests.replay.conftest import Rebuilding
from tests.replay.load import records
from tests.replay.test_verify import execute
from tests.stack import Servers

LATER = "INSERT INTO schema_migrations (version, name, checksum) VALUES ('9999', 'later', 'x') ON CONFLICT DO NOTHING"


@pytest.fixture
async def applied(servers: Servers, database_url: str, topic: str) -> str:
    """A database into which a topic was applied."""
    await produce(servers.kafka_bootstrap_servers, topic, records(5))
    await apply_all(servers.kafka_bootstrap_servers, database_url, topic)
    return database_url


async def test_a_migration_between_start_and_swap_is_refused(applied: str, rebuild: Rebuilding) -> None:
    """A shadow that lacks what a migration has added does not take the table's place."""
    await rebuild().start()
    await execute(applied, "ALTER TABLE workflow_executions ADD COLUMN later text")
    await execute(applied, LATER)
    for refused in (rebuild().start(), rebuild().diff(1), rebuild().swap()):
        with pytest.raises(WexError, match="the table is at migration 9999, the one in wex_replay at") as error:
            await refused
        assert error.value.exit_code == ExitCode.REFUSED
    assert (await rebuild().status()).state.step is Step.READY


async def test_a_migration_before_start_is_refused(applied: str, rebuild: Rebuilding) -> None:
    """A shadow of this version is not begun for a table of another one."""
    await execute(applied, "DELETE FROM schema_migrations WHERE version = '0003'")
    with pytest.raises(WexError, match="the table lacks migration 0003") as error:
        await rebuild().start()
    assert error.value.remedy == "`wex migrate` applies it."
    with pytest.raises(WexError, match="there is no replay"):
        await rebuild().status()


async def test_the_swap_looks_where_no_migration_can_come_any_more(
    applied: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is applied after everything was looked at is seen by the transaction that exchanges the tables."""
    await rebuild().start()
    come_near = catching_up.come_near

    async def and_then_migrate(*behind: Any) -> None:
        await come_near(*behind)
        await execute(applied, LATER)

    monkeypatch.setattr(rebuilding, "come_near", and_then_migrate)
    with pytest.raises(WexError, match="a migration lies between the tables"):
        await rebuild().swap()
    assert (await rebuild().status()).state.step is Step.READY


async def test_an_old_table_does_not_come_back_behind_a_migration(applied: str, rebuild: Rebuilding) -> None:
    """A rollback refuses once a migration has changed the new table."""
    await rebuild().start()
    await rebuild().swap()
    await execute(applied, LATER)
    with pytest.raises(WexError, match="a migration lies between the tables"):
        await rebuild().rollback()
    [found] = await fetch(applied, "SELECT step FROM wex_replay.replay")
    assert found["step"] == Step.SWAPPED
