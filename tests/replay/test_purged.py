"""What purges have deleted, beside a log that still has it: neither repair, replay nor rollback brings it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from consumer.purging import Purging
from consumer.replay.refusals import Reason
from store.purge_policy import PurgePolicy
from store.purges import Purges
from store.replay_scope import ReplayScope
from store.replays import SCHEMA
from tests.consuming import encoded, fetch, produce, rows
from tests.lives import BEGIN, event
from tests.replay.applying import apply_all
from tests.replay.conftest import Rebuilding
from tests.replay.databases import fingerprint
from tests.replay.load import records
from tests.replay.test_verify import delete_records, verified
from tests.stack import Servers

EXECUTIONS = 40  # a quarter completed, failed, cancelled; a quarter is paused
COMPLETED = PurgePolicy(ended_before=BEGIN + timedelta(days=1), statuses=["completed"])
FAILED = PurgePolicy(ended_before=BEGIN + timedelta(days=1), statuses=["failed"])
STATUS_OF = "SELECT temporal_run_id, status FROM workflow_executions"

Apply = Callable[..., Awaitable[None]]


async def purge(url: str, policy: PurgePolicy) -> int:
    """Keep a policy and carry it out; return how many rows that deleted."""
    async with Purges(url) as purges:
        return await Purging(purges).run(await purges.begin(policy, "ann"), policy)


@pytest.fixture
def apply(servers: Servers, database_url: str, topic: str) -> Apply:
    """Produce and apply more."""

    async def more(values: list[bytes | None]) -> None:
        await produce(servers.kafka_bootstrap_servers, topic, values, partitions=2)
        await apply_all(servers.kafka_bootstrap_servers, database_url, topic)

    return more


@pytest.fixture
async def purged(database_url: str, apply: Apply) -> str:
    """A database into which a topic was applied, and of which what completed was purged."""
    await apply(list(records(EXECUTIONS)))
    assert await purge(database_url, COMPLETED) == EXECUTIONS / 4
    return database_url


def later(number: int, verb: str, seconds: float, **data: Any) -> bytes | None:
    """Another event of an execution of the load."""
    names = {"workflow_id": f"workflow-{number}", "temporal_workflow_id": f"order-{number}"}
    return encoded([event(verb, seconds, run=f"run-{number}", **names, **data)])[0]


async def test_what_was_purged_is_no_difference_and_is_not_mended(servers: Servers, purged: str) -> None:
    """Rows that a purge has deleted are counted apart; repair leaves them where they are."""
    before = await fingerprint(purged)
    verdict = await verified(servers, purged, repair=True)
    assert (verdict.different, tuple(verdict.covered), verdict.repaired) == (0, (EXECUTIONS / 4, 0), 0)
    assert tuple((await verified(servers, purged, workflow_id="workflow-4")).covered) == (2, 0)
    assert await fingerprint(purged) == before


async def test_an_event_that_comes_later_makes_a_row_that_repair_takes_away(
    servers: Servers, purged: str, apply: Apply
) -> None:
    """A row of later events alone is too many where a purge covers all of them, and is made whole where it does not."""
    await apply([later(0, "heartbeat", 5, progress={"done": 1}), later(4, "started", 9, attempt=2)])
    found = {r["temporal_run_id"]: r["status"] for r in await fetch(purged, STATUS_OF)}
    assert (found["run-0"], found["run-4"]) == ("running", "running")
    verdict = await verified(servers, purged, repair=True)
    assert {(d.kind, d.table["temporal_run_id"], d.log["status"]) for d in verdict.described} == {
        ("extra", "run-0", "completed"),
        ("changed", "run-4", "running"),
    }
    assert tuple(verdict.covered) == (EXECUTIONS / 4 - 2, 0)
    assert (await verified(servers, purged)).different == 0
    whole = {row.temporal_run_id: row.input for row in (await rows(purged)).values()}
    assert "run-0" not in whole
    assert whole["run-4"] is not None


async def test_what_ended_before_and_came_after_is_due(
    servers: Servers, purged: str, apply: Apply, rebuild: Rebuilding
) -> None:
    """An execution that a purge covers and that came after it is no difference; the same purge, or a swap, takes it."""
    await apply(list(records(5, first=EXECUTIONS)))
    verdict = await verified(servers, purged)
    assert (verdict.different, verdict.covered.due) == (0, 2)
    await rebuild().start()
    preview = await rebuild().diff(10)
    assert (list(preview.counts), preview.due) == ([], 2)
    async with Purges(purged) as purges:
        [kept] = await purges.standing()
        assert await Purging(purges).run(kept.id, kept.policy) == 2
        assert [each.executions for each in await purges.list()] == [EXECUTIONS / 4 + 2]
    assert (await rebuild().diff(10)).due == 0


async def test_a_swap_brings_back_nothing_that_was_purged(
    servers: Servers, purged: str, apply: Apply, rebuild: Rebuilding
) -> None:
    """Purged before a replay, while it is built, or after the swap: neither swap nor rollback brings a row back."""
    await rebuild().start()
    assert await purge(purged, FAILED) == EXECUTIONS / 4
    preview = await rebuild().diff(10)
    assert (list(preview.counts), preview.due) == ([], 0)
    before, kept = await fingerprint(purged), await fetch(purged, "SELECT * FROM purges ORDER BY id")
    await rebuild().swap()
    assert await rows(purged) == {id_: row for id_, row in (await rows(purged)).items() if row.status not in GONE}
    assert len(await rows(purged)) == EXECUTIONS / 2
    assert await fingerprint(purged, SCHEMA) == before, "the old table is what it was"
    assert await fetch(purged, "SELECT * FROM purges ORDER BY id") == kept
    assert tuple((await verified(servers, purged)).covered) == (EXECUTIONS / 2, 0)
    cancelled = PurgePolicy(ended_before=BEGIN + timedelta(days=1), statuses=["cancelled"])
    assert await purge(purged, cancelled) == EXECUTIONS / 4
    await rebuild().rollback()
    assert {row.status for row in (await rows(purged)).values()} == {"paused"}
    await apply(list(records(4, first=EXECUTIONS + 4)))
    assert (await verified(servers, purged)).different == 0
    await rebuild().swap()
    assert {row.status for row in (await rows(purged)).values()} == {"paused"}


GONE = ("completed", "failed")


async def test_a_replay_of_a_part_brings_back_nothing_and_leaves_the_rest(
    servers: Servers, purged: str, apply: Apply, rebuild: Rebuilding
) -> None:
    """What is outside of a replay's scope stays, also what a purge covers; what is inside is held to it."""
    await apply(list(records(5, first=EXECUTIONS)))  # order-40 and order-44 are due; 40 is of workflow-0
    await rebuild().start(ReplayScope(workflows=("workflow-0",)))
    await rebuild().swap([Reason.FEWER_ROWS])
    found = {row.temporal_workflow_id for row in (await rows(purged)).values() if row.status == "completed"}
    assert found == {"order-44"}
    assert tuple((await verified(servers, purged)).covered) == (EXECUTIONS / 4 + 1, 1)


async def test_what_the_log_has_lost_as_well_stays_gone(
    servers: Servers, purged: str, topic: str, rebuild: Rebuilding
) -> None:
    """With half of the log gone, what was not purged is carried over, and what was purged is nowhere."""
    before = await rows(purged)
    await delete_records(servers, topic, {0: 30, 1: 30})
    assert (await verified(servers, purged)).different == 0
    await rebuild().start()
    await rebuild().swap([Reason.GONE])
    assert await rows(purged) == before
    assert (await verified(servers, purged)).different == 0
    assert await purge(purged, FAILED) == EXECUTIONS / 4
    assert (await verified(servers, purged)).different == 0
