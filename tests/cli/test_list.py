"""`wex list` with its filters and its pages, and what else is asked about many executions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from events.position import TopicPartition
from store import PostgresStore
from tests.cli.conftest import Wex
from tests.conformance.stores import Writer
from tests.lives import BEGIN, event

PARENT = {"temporal_workflow_id": "invoice-42", "temporal_run_id": "quick"}


@pytest.fixture
def written(database_url: str) -> None:
    """Three executions: one that failed long ago, one that took a second, one that runs since an hour."""

    async def write() -> None:
        store = PostgresStore(database_url)
        writer = Writer(store, "g", TopicPartition("executions", 0))
        await writer.claim()
        hour_ago = (datetime.now(UTC) - timedelta(hours=1) - BEGIN).total_seconds()
        await writer.write(
            [
                event("failed", 9, run="old", user_id="ann", error={"message": "Card declined", "type": "Card"}),
                event("completed", 20, run="quick", started_at=BEGIN, duration_ms=1000, labels={"team": "a"}),
                event("started", hour_ago, run="runs", workflow_id="other", user_id="ann", parent=PARENT),
            ]
        )
        await store.close()

    asyncio.run(write())


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        ((), ["runs", "old", "quick"]),
        (("invoice", "--user", "ann"), ["old"]),
        (("--status", "failed", "--status", "running"), ["runs", "old"]),
        (("--open",), ["runs"]),
        (("--ended", "--order-by", "completed_at"), ["quick", "old"]),
        (("--since", "2h"), ["runs"]),
        (("--until", "2026-01-01T00:00:05Z"), ["quick"]),
        (("--ended-since", "2026-01-01T00:00:20", "--ended-until", "1h"), ["quick"]),
        (("--label", "team=a"), ["quick"]),
        (("--min-duration", "1s", "--max-duration", "1m"), ["quick"]),
        (("--error", "DECLINED", "--error-type", "Card"), ["old"]),
        (("--incomplete",), ["old"]),
        (("--contested",), []),
        (("--overdue", "1d"), []),
        (("--attempt", "1", "--orchestrator", "temporal", "--offset", "2"), ["quick"]),
    ],
)
@pytest.mark.usefixtures("written")
def test_options_narrow_a_list(wex: Wex, arguments: tuple[str, ...], runs: list[str]) -> None:
    """Each option of `wex list` narrows it, and all of them hold together."""
    said = wex("list", *arguments, "--json")
    assert said.exit_code == 0, said.stderr
    assert [item["temporal_run_id"] for item in said.json["items"]] == runs


@pytest.mark.usefixtures("written")
def test_a_count_says_how_many_and_of_how_many(wex: Wex) -> None:
    """`wex count` takes the options of a list, groups, and says where it has not looked at all."""
    assert wex("count").stdout == "3\n"
    assert wex("count", "invoice", "--user", "ann", "--exact").stdout == "1\n"
    grouped = wex("count", "--by", "status,label:team")
    assert [line.split() for line in grouped.stdout.splitlines()] == [
        ["EXECUTIONS", "STATUS", "TEAM"],
        ["1", "completed", "a"],
        ["1", "failed", "-"],
        ["1", "running", "-"],
        ["3", "in", "all"],
    ]
    found = wex("count", "--by", "day", "--by", "workflow", "--until", "2026-01-02", "--json").json
    assert found.pop("freshness")[0]["next_offset"] == 3
    assert found == {
        "total": 2,
        "exact": True,
        "newest": None,
        "by": ["day", "workflow"],
        "items": [{"day": "2026-01-01", "workflow": "invoice", "executions": 2}],
        "other_groups": 0,
    }
    some = wex("count", "--bound", "2", "--by", "status", "--limit", "1")
    assert some.stdout.splitlines()[-2:] == ["1           in 1 other group", "at least 2 in all"]
    assert some.stderr == "the total and the groups are of the newest 2, which were looked at; --exact counts all\n"
    assert wex("count", "--bound", "2").stdout == "at least 2\n"
    assert (wex("count", "--status", "paused").stdout, wex("count", "--status", "paused").exit_code) == ("0\n", 0)
    for wrong in (("--by", "input"), ("--by", "label:[/]", "--by", "label:[/]"), ("--bound", "0"), ("--status", "x")):
        assert wex("count", *wrong).exit_code == 2
    assert "[/]" in wex("count", "--by", "label:[/]").stdout


@pytest.mark.usefixtures("written")
def test_a_page_says_how_to_go_on(wex: Wex) -> None:
    """A page that is not the last says with which cursor to go on, to people on standard error."""
    first = wex("list", "-n", "2")
    _, _, cursor = first.stderr.strip().partition("there are more: add --cursor ")
    last = wex("list", "-n", "2", "--cursor", cursor, "--json").json
    assert [item["temporal_run_id"] for item in last["items"]] == ["quick"]
    assert last["next_cursor"] is None
    back = wex("list", "-n", "2", "--cursor", last["previous_cursor"], "--json").json
    assert [item["temporal_run_id"] for item in back["items"]] == ["runs", "old"]
    assert wex("list", "-n", "3").stderr == ""
    refused = wex("list", "--status", "failed", "--cursor", cursor)
    assert (refused.exit_code, "belongs to another filter" in refused.stderr) == (2, True)


@pytest.mark.usefixtures("written")
def test_a_read_waits_for_ones_own_write(wex: Wex) -> None:
    """`--at-least` takes what `wex publish` printed, and a list says how far it is applied."""
    for command in (("list",), ("get", "invoice-42"), ("stats", "invoice"), ("count",)):
        assert wex(*command, "--at-least", "executions/0@2").exit_code == 0
        late = wex(*command, "--at-least", "executions/0@3", "--timeout", "0")
        assert (late.exit_code, "executions/0@3 was not applied within 0 s" in late.stderr) == (5, True)
        wrong = wex(*command, "--at-least", "executions")
        assert (wrong.exit_code, "is no position like workflow-executions/4@0" in wrong.stderr) == (2, True)
    [applied] = wex("list", "--json").json["freshness"]
    assert (applied["topic"], applied["partition"], applied["next_offset"]) == ("executions", 0, 3)


@pytest.mark.usefixtures("written")
def test_trees_and_chains_are_shown(wex: Wex) -> None:
    """`wex tree` and `wex chain` show relatives to people and programs, and end with 3 where there is no execution."""
    tree = wex("tree", "invoice-42", "--run-id", "quick")
    assert tree.exit_code == 0, tree.stderr
    heading, top, below = tree.stdout.splitlines()
    assert heading.startswith("EXECUTION")
    assert (top[0] != " ", below[:2]) == (True, "  ")
    relatives = wex("tree", "invoice-42", "--run-id", "quick", "--json").json
    assert [(r["depth"], r["execution"]["temporal_run_id"]) for r in relatives["items"]] == [(0, "quick"), (1, "runs")]
    assert relatives["complete"] is True
    assert "raise --limit or --depth" in wex("tree", "invoice-42", "--run-id", "quick", "--depth", "0").stderr
    chain = wex("chain", "invoice-42", "--run-id", "old")
    assert (chain.exit_code, chain.stdout.split()[0], "+0" in chain.stdout) == (0, "PLACE", True)
    for command in ("tree", "chain"):
        missing = wex(command, "nothing")
        assert (missing.exit_code, "no execution 'nothing'" in missing.stderr) == (3, True)
        assert wex(command, "invoice-42", "--limit", "0").exit_code == 2


@pytest.mark.usefixtures("written")
def test_the_stuck_and_the_frequent_errors_are_shown(wex: Wex) -> None:
    """`wex stuck` and `wex top-errors` show what stands out, and say so where nothing does."""
    assert "LAST EVENT" in wex("stuck", "30m").stdout
    assert wex("stuck", "2h").stdout == "nothing is stuck\n"
    [item] = wex("stuck", "30m", "--workflow", "other", "--json").json["items"]
    assert item["temporal_run_id"] == "runs"
    assert wex("stuck", "soon").exit_code == 2
    assert wex("top-errors").stdout == "no error in that time\n"
    errors = wex("top-errors", "--since", "2026-01-01", "--workflow", "invoice")
    assert "Card declined" in errors.stdout
    found = wex("top-errors", "--since", "2026-01-01", "--json").json
    assert (found["considered"], found["complete"], found["items"][0]["type"]) == (1, True, "Card")
