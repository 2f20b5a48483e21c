"""`wex verify` and `wex repair`, as operators meet them."""

from __future__ import annotations

import asyncio

import pytest

from tests.cli.conftest import Wex
from tests.consuming import fetch, produce
from tests.replay.applying import apply_all
from tests.replay.load import records
from tests.stack import Servers

NOWHERE = "127.0.0.1:1"
CORRUPT = "UPDATE workflow_executions SET actor = E'\\u001b[31m' WHERE temporal_workflow_id = 'order-2' RETURNING id"


@pytest.fixture
def applied(servers: Servers, database_url: str, topic: str) -> None:
    """A topic that was applied."""

    async def apply() -> None:
        await produce(servers.kafka_bootstrap_servers, topic, records(20), partitions=1)
        await apply_all(servers.kafka_bootstrap_servers, database_url, topic)

    asyncio.run(apply())


@pytest.mark.usefixtures("applied")
def test_equal_is_0_and_different_is_4(wex: Wex, database_url: str, topic: str) -> None:
    """Verify says what differs, with both values and the deciding event; repair changes nothing without --apply."""
    ended = wex("verify")
    assert ended.exit_code == 0
    assert "the table equals the log" in ended.stdout
    [row] = asyncio.run(fetch(database_url, CORRUPT))
    for command in ("verify", "repair"):
        ended = wex(command)
        assert ended.exit_code == 4
        assert f"changed workflow_executions {row['id']} (order-2)" in ended.stdout
        assert f"actor: table \\x1b[31m, log ann  decided by {topic}/0@8" in ended.stdout
        assert "1 workflow_executions changed" in ended.stdout
    assert "nothing was changed; --apply mends" in ended.stdout
    ended = wex("repair", "--apply")
    assert (ended.exit_code, "mended: 1 executions" in ended.stdout) == (0, True)
    assert "nothing to mend" in wex("repair").stdout
    assert wex("verify").exit_code == 0


@pytest.mark.usefixtures("applied")
def test_programs_get_one_object(wex: Wex, database_url: str, topic: str) -> None:
    """With --json there is one object, with counts, positions and items."""
    asyncio.run(fetch(database_url, CORRUPT))
    found = wex("verify", "--json", "--sample", "1000").json
    assert (found["equal"], found["different"], found["events"], found["unverifiable"]) == (False, 1, 60, 0)
    assert found["positions"] == [{"topic": topic, "partition": 0, "next_offset": 60}]
    [item] = found["items"]
    at = {"topic": topic, "partition": 0, "offset": 8}
    assert item["fields"] == [{"field": "actor", "table": "\x1b[31m", "log": "ann", "decided_by": at}]
    found = wex("repair", "--apply", "--json").json
    assert (found["applied"], found["repaired"]) == (True, 1)
    assert wex("verify", "--json").json["equal"] is True


@pytest.mark.usefixtures("applied")
def test_more_differences_than_are_described_are_counted(wex: Wex, database_url: str) -> None:
    """--limit bounds what is described, and the rest is counted."""
    asyncio.run(fetch(database_url, "UPDATE workflow_executions SET actor = 'x'"))
    assert "… and 17 more" in wex("verify", "--limit", "3").stdout


@pytest.mark.usefixtures("applied")
def test_what_cannot_be_done_says_why(wex: Wex, database_url: str) -> None:
    """A broker that does not answer is 5, a table of another version 8, and a time that is none 2."""
    assert wex("verify", "--kafka-bootstrap-servers", NOWHERE).exit_code == 5
    assert wex("verify", "--since", "yesterday").exit_code == 2
    asyncio.run(fetch(database_url, "DELETE FROM workflow_executions"))
    ended = wex("repair", "--apply", "--since", "2026-01-01")
    assert (ended.exit_code, "Repair without it" in ended.stderr) == (2, True)
    assert wex("repair", "--since", "2026-01-01").exit_code == 4
    assert asyncio.run(fetch(database_url, "SELECT 1 FROM workflow_executions")) == []
    asyncio.run(fetch(database_url, "UPDATE positions SET fold_version = 99"))
    ended = wex("verify")
    assert (ended.exit_code, "folded by version 99" in ended.stderr) == (8, True)
    asyncio.run(fetch(database_url, "DELETE FROM positions"))
    ended = wex("verify")
    assert (ended.exit_code, "`wex consume`" in ended.stderr) == (8, True)
