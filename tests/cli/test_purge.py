"""`wex purge` and `wex purges`, as operators meet them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from store.purges import Purges
from tests.cli.conftest import Wex
from tests.consuming import fetch, produce
from tests.replay.applying import apply_all
from tests.replay.load import records
from tests.stack import Servers

EXECUTIONS = 40  # a quarter completed, a quarter failed, a quarter cancelled, the others paused
COUNT = "SELECT count(*) AS n FROM workflow_executions"
FOR_EVER = ("--ended-before", "2026-02-01")


@pytest.fixture
def applied(servers: Servers, database_url: str, topic: str) -> None:
    """A topic that was applied."""

    async def apply() -> None:
        await produce(servers.kafka_bootstrap_servers, topic, records(EXECUTIONS), partitions=1)
        await apply_all(servers.kafka_bootstrap_servers, database_url, topic)

    asyncio.run(apply())


@pytest.fixture
def rows(database_url: str) -> Callable[[], int]:
    """Counts the rows."""
    return lambda: int(asyncio.run(fetch(database_url, COUNT))[0]["n"])


@pytest.mark.usefixtures("applied")
def test_a_purge_is_shown_made_listed_and_revoked(wex: Wex, rows: Callable[[], int]) -> None:
    """Nothing goes before --apply; then it is gone, verify knows why, and revoked it counts as missing again."""
    ended = wex("purge", *FOR_EVER, "--status", "completed", "--status", "failed")
    assert ended.exit_code == 0, ended
    assert "ended before 2026-02-01 00:00:00+00:00; status completed, failed; namespace default" in ended.stdout
    assert "completed  10 " in ended.stdout
    assert "20 would go; nothing was changed, --apply deletes" in ended.stdout
    assert "nothing was ever purged" in wex("purges", "list").stdout
    assert rows() == EXECUTIONS
    ended = wex("purge", *FOR_EVER, "--status", "completed", "--apply", "--actor", "ann", "--reason", "GDPR")
    assert "purge 1: deleted 10" in ended.stdout
    assert rows() == EXECUTIONS - 10
    [line] = wex("purges", "list").stdout.splitlines()[1:]
    for text in ("finished", "ann", "status completed", "(GDPR)"):
        assert text in line
    assert "nothing to purge" in wex("purge", *FOR_EVER, "--status", "completed", "--apply").stdout
    verdict = wex("verify")
    assert (verdict.exit_code, "purged         10 executions of the log" in verdict.stdout) == (0, True)
    assert wex("purges", "resume", "--all").stdout == "purge 1: deleted 0\n"
    assert "purge 1 is revoked" in wex("purges", "revoke", "1").stdout
    assert wex("verify").exit_code == 4
    assert "mended: 10 executions" in wex("repair", "--apply").stdout
    assert rows() == EXECUTIONS


@pytest.mark.usefixtures("applied")
def test_programs_are_told_the_same(wex: Wex) -> None:
    """Everything is there as JSON, and nothing else is on standard output."""
    told = wex("purge", "--ended-before", "1d", "--workflow", "workflow-0", "--apply", "--json").json
    assert (told["id"], told["executions"], told["deleted"], told["applied"]) == (1, 2, 2, True)
    assert {each["status"]: each["executions"] for each in told["by_status"]} == {"completed": 2}
    assert told["policy"]["workflows"] == ["workflow-0"]
    assert told["policy"]["ended_before"].endswith("Z")
    assert told["replay_holds_copies"] is False
    [purge] = wex("purges", "list", "--json").json["items"]
    assert (purge["executions"], purge["state"], purge["policy"]) == (2, "finished", told["policy"])
    assert wex("purges", "resume", "--all", "--json").json == {"items": [{"id": 1, "deleted": 0}]}
    verdict = wex("verify", "--json").json
    assert (verdict["equal"], verdict["purged"], verdict["due"]) == (True, 2, 0)
    assert wex("purges", "revoke", "1", "--json").json == {"id": 1, "revoked": True}


REFUSED = [
    (("purge",), 2, "say before when an execution ended, or was deleted"),
    (("purge", "--ended-before", "2099-01-01"), 2, "a time is not past"),
    (("purge", "--ended-before", "soon"), 2, "is no time like"),
    (("purge", "--ended-before", "9d", "--status", "running"), 2, "'running' is no status of an execution that has"),
    (("purges", "resume", "7"), 3, "no purge 7"),
    (("purges", "revoke", "7"), 3, "no purge 7"),
]


@pytest.mark.parametrize(("command", "code", "why"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_cannot_be_meant_is_refused(wex: Wex, command: tuple[str, ...], code: int, why: str) -> None:
    """Each refusal says why, and ends with the code that its kind has everywhere."""
    ended = wex(*command)
    assert (ended.exit_code, why in ended.stderr) == (code, True), ended


@pytest.mark.usefixtures("applied")
def test_an_interrupted_purge_goes_on(wex: Wex, rows: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C says how far it is; `resume` does the rest, the count is of both, and a revoked one is refused."""
    monkeypatch.setattr("consumer.purging.Pace.took", lambda *_: None)
    monkeypatch.setattr("consumer.purging.Pace.__init__", lambda pace: setattr(pace, "rows", 4))
    delete = Purges.delete

    calls = 0

    async def third_time(*arguments: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return await delete(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Purges, "delete", third_time)
        ended = wex("purge", *FOR_EVER, "--apply")
    assert (ended.exit_code, "purge 1 has deleted 8; `wex purges resume` goes on with it" in ended.stderr) == (1, True)
    assert rows() == EXECUTIONS - 8
    assert "unfinished  8" in wex("purges", "list").stdout
    verdict = wex("verify")
    assert (verdict.exit_code, "due            22 that a purge covers" in verdict.stdout) == (0, True), verdict
    assert wex("purges", "resume").stdout == "purge 1: deleted 22\n"
    assert "finished  30" in wex("purges", "list").stdout
    assert wex("purges", "resume").stdout == "no purge is unfinished\n"
    assert wex("purges", "revoke", "1").exit_code == 0
    assert wex("purges", "revoke", "1").exit_code == wex("purges", "resume", "1").exit_code == 8
