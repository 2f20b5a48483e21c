"""`wex replay`, as operators meet it."""

from __future__ import annotations

import asyncio
import io

import pytest

from consumer.commands.replay import REASONS
from consumer.replay.refusals import Reason
from tests.cli.conftest import Wex
from tests.consuming import fetch, produce
from tests.replay.applying import apply_all
from tests.replay.load import records
from tests.stack import Servers

CHANGE = "UPDATE workflow_executions SET status = 'failed' WHERE temporal_workflow_id = 'order-4' RETURNING id"


@pytest.fixture
def applied(servers: Servers, database_url: str, topic: str) -> None:
    """A topic that was applied."""

    async def apply() -> None:
        await produce(servers.kafka_bootstrap_servers, topic, records(20), partitions=1)
        await apply_all(servers.kafka_bootstrap_servers, database_url, topic)

    asyncio.run(apply())


@pytest.mark.usefixtures("applied")
def test_a_replay_is_told_step_by_step(wex: Wex, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start, status, diff, swap, rollback, swap and drop each say what is, and what is next."""
    [row] = asyncio.run(fetch(database_url, CHANGE))
    ended = wex("replay", "start")
    assert (ended.exit_code, "step: fold" in ended.stderr) == (0, True)
    assert "`wex replay diff` shows what a swap would change" in ended.stdout
    assert "records folded  60" in wex("replay", "status").stdout
    ended = wex("replay", "diff")
    assert ended.exit_code == 4
    assert f"changed workflow_executions {row['id']}" in ended.stdout
    assert "  status: table failed, shadow completed" in ended.stdout
    assert "status failed → completed: 1" in ended.stdout
    assert "a swap would change: 1 workflow_executions changed" in ended.stdout
    ended = wex("replay", "swap")
    assert (ended.exit_code, "`wex replay rollback` takes it back" in ended.stdout) == (0, True)
    assert wex("verify").exit_code == 0
    assert "the old table is back" in wex("replay", "rollback").stdout
    assert wex("verify").exit_code == 4
    assert wex("replay", "swap").exit_code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    ended = wex("replay", "drop")
    assert (ended.exit_code, "There is no rollback after that" in ended.stdout) == (1, True)
    assert "the old table is gone" in wex("replay", "drop", "--yes").stdout
    ended = wex("replay", "status")
    assert (ended.exit_code, "`wex replay start` begins one" in ended.stderr) == (3, True)


@pytest.mark.usefixtures("applied")
def test_programs_get_one_object(wex: Wex, database_url: str, topic: str) -> None:
    """With --json each command prints one object."""
    asyncio.run(fetch(database_url, CHANGE))
    found = wex("replay", "start", "--json").json
    assert (found["step"], found["behind"], found["carried"]) == ("ready", 0, 0)
    assert found["positions"] == [{"topic": topic, "partition": 0, "next_offset": 60}]
    found = wex("replay", "diff", "--json").json
    assert found["statuses"] == [{"from": "failed", "to": "completed", "rows": 1}]
    assert found["items"][0]["fields"][0] == {"field": "status", "table": "failed", "shadow": "completed"}
    assert wex("replay", "swap", "--json").json["step"] == "swapped"
    assert wex("replay", "status", "--json").json["step"] == "swapped"
    assert wex("replay", "rollback", "--json").json == {"step": "ready"}
    assert wex("replay", "abort", "--json").json == {"step": "none"}
    assert wex("replay", "start", "--json").exit_code == 0
    found = wex("replay", "diff", "--json", "--limit", "0").json
    assert (found["different"], found["items"]) == (1, [])


@pytest.mark.usefixtures("applied")
def test_a_refused_swap_says_what_to_pass(wex: Wex, database_url: str) -> None:
    """What stands against a swap is named with the flag that goes on."""
    asyncio.run(fetch(database_url, "CREATE VIEW mine AS SELECT id FROM workflow_executions"))
    assert wex("replay", "start").exit_code == 0
    ended = wex("replay", "swap")
    assert (ended.exit_code, "--accept dependents goes on" in ended.stderr) == (8, True)
    assert wex("replay", "swap", "--accept", "everything").exit_code == 2
    assert wex("replay", "swap", "--accept", "dependents").exit_code == 0


@pytest.mark.usefixtures("applied")
def test_a_part_of_the_table_is_replayed(wex: Wex, database_url: str) -> None:
    """A scope is shown wherever the replay is, and a start that goes on must name the same one."""
    [row] = asyncio.run(fetch(database_url, CHANGE))
    ended = wex("replay", "start", "--workflow", "workflow-4", "--since", "2020-01-01")
    assert (ended.exit_code, "executions      1" in ended.stdout) == (0, True)
    scope = "--workflow workflow-4 --since 2020-01-01T00:00:00+00:00"
    assert f"rebuilds        {scope}" in wex("replay", "status").stdout
    found = wex("replay", "status", "--json").json
    assert (found["scope"]["workflows"], found["within"]) == (["workflow-4"], 1)
    ended = wex("replay", "start", "--execution", str(row["id"]))
    assert (ended.exit_code, f"`wex replay start {scope}` goes on" in ended.stderr) == (8, True)
    assert wex("replay", "start", *scope.split(), "--json").json["scope"] == found["scope"]
    assert "a swap would change: 1 workflow_executions changed" in wex("replay", "diff").stdout
    assert wex("replay", "swap").exit_code == 0
    assert wex("verify").exit_code == 0
    ended = wex("replay", "start", "--since", "2026-01-02", "--until", "2026-01-01")
    assert (ended.exit_code, "--since comes before --until" in ended.stderr) == (2, True)


def test_every_reason_can_be_accepted() -> None:
    """The command offers the reasons that there are."""
    assert set(REASONS) == set(Reason)
