"""Purges on a real PostgreSQL: what goes, what waits, and what they are kept for."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer import purging
from consumer.errors import WexError
from consumer.purging import BATCH_SECONDS, ROWS_FIRST, ROWS_MAX, Pace, Purging
from events import Event, ExecutionRow
from events.catalogue import Catalogue
from store import differences, shadow_purges
from store import purges as kept_purges
from store.batch import Batch, WithheldPayload
from store.differences import Scope
from store.execution import execution
from store.purge_policy import ENDED, PurgePolicy
from store.purges import Purges, RevokedError
from store.replay_scope import ReplayScope
from store.shadow import Shadow
from tests.conformance.stores import Writer, row_of, states_of
from tests.conformance.test_histories import rows_of
from tests.consuming import blocked, rows, until
from tests.lives import at, event
from tests.strategies import RUNS, several_histories

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

ROOT = Path(__file__).parents[2]
EXAMPLES = 60
CUTS = (99, 99, 24, 18, 12, 9, 6, 3)  # what comes before purges; the first ones: mostly all
SECONDS = (0.0, 1.0, 1.000001, 2.5, 300_000.0, 300_000.0, 300_000.0)
FORGET = "; ".join(
    f"DELETE FROM {table}"
    for table in (
        "workflow_executions",
        "workflows",
        "users",
        "positions",
        "purges",
        *(f"wex_verify.{relation}" for relation in differences.EVERYTHING),
    )
)
Rows = Mapping[UUID, ExecutionRow]

times = st.sampled_from(SECONDS).map(at)
bounds = st.tuples(times, st.none() | times) | st.tuples(st.none(), times)
policies = st.builds(
    lambda bounds, **more: PurgePolicy(ended_before=bounds[0], deleted_before=bounds[1], **more),
    bounds=bounds,
    workflows=st.sampled_from([(), (), ("invoice",), ("billing", "other")]),
    statuses=st.sampled_from([(), ("failed", "timed_out"), ("completed", "cancelled")]),
    namespace=st.sampled_from(["default"] * 5 + ["elsewhere"]),
)


def covers(policy: PurgePolicy, row: ExecutionRow) -> bool:
    """What a policy says, in words that share nothing with SQL."""
    named = (not policy.workflows or row.workflow_id in policy.workflows) and policy.namespace == row.namespace
    ended = row.completed_at is not None and (not policy.statuses or row.status in policy.statuses)
    return (
        named
        and ended
        and _before(row.completed_at, policy.ended_before)
        and _before(row.deleted_at, policy.deleted_before)
    )


def _before(time: datetime | None, bound: object) -> bool:
    assert bound is None or isinstance(bound, datetime)
    return bound is None or (time is not None and time < bound)


def left(found: Rows, policies: Sequence[PurgePolicy]) -> Rows:
    """The rows that no policy covers."""
    return {id_: row for id_, row in found.items() if not any(covers(policy, row) for policy in policies)}


async def purge(purges: Purges, policy: PurgePolicy) -> int:
    """Keep a policy and carry it out; return how many rows that deleted."""
    return await Purging(purges).run(await purges.begin(policy, "ann"), policy)


async def again(purges: Purges) -> None:
    """Carry every purge out once more."""
    for each in await purges.standing():
        await Purging(purges).run(each.id, each.policy)


@pytest.fixture
async def purges(database_url: str) -> AsyncIterator[Purges]:
    """Purges of the test's database."""
    async with Purges(database_url) as opened:
        yield opened


async def rows_in(connection: Connection) -> Rows:
    """Every row of the table, as the fold would give it."""
    return {r["id"]: row_of(execution(r)) for r in await connection.fetch("SELECT * FROM execution_rows")}


@pytest.fixture
async def scratch(database_url: str) -> AsyncIterator[Shadow]:
    """A shadow of the test's database."""
    async with Shadow(database_url, "wex_verify", group="g") as shadow:
        await shadow.drop()
        await shadow.create(scratch=True)
        yield shadow
        await shadow.drop()


async def fold_into(scratch: Shadow, history: Sequence[Event]) -> None:
    """Let an empty shadow be the fold of a history."""
    batch = Batch("g", {}, states_of(history), Catalogue.of(history))
    await scratch.apply(batch)


async def shadow_ids(connection: Connection) -> set[UUID]:
    """The ids of the shadow's rows."""
    return {r["id"] for r in await connection.fetch("SELECT id FROM wex_verify.workflow_executions")}


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=several_histories(RUNS), cut=st.sampled_from(CUTS), made=st.lists(policies, min_size=1, max_size=2))
async def test_fold_and_purge_commute(
    connection: Connection,
    writer: Writer,
    scratch: Shadow,
    purges: Purges,
    history: list[Event],
    cut: int,
    made: list[PurgePolicy],
) -> None:
    """Whatever comes after purges: repaired and purged again, the table is the replay of all, purged alike."""
    await connection.execute(FORGET)
    await writer.claim()
    early, late = history[:cut], history[cut:]
    await writer.write(early)
    for policy in made:
        await purge(purges, policy)
    assert await rows_in(connection) == left(rows_of(early), made)
    await writer.write(late)

    expected = left(rows_of(history), made)
    before = await rows_in(connection)
    await fold_into(scratch, history)
    counts = await differences.find(scratch, Scope())
    covered = await differences.covered(scratch, Scope())
    gone = {id_: row for id_, row in rows_of(history).items() if id_ not in expected}
    kinds = Counter({each.kind: 0 for each in counts})
    for each in counts:
        kinds[each.kind] += each.rows if each.relation == "workflow_executions" else 0
    assert covered.purged == len(gone.keys() - before.keys())
    assert covered.due + kinds["extra"] == len(gone.keys() & before.keys())
    assert covered.due <= sum(before.get(id_) == row for id_, row in gone.items())
    assert kinds["missing"] == len(expected.keys() - before.keys())
    assert kinds["changed"] >= sum(before[id_] != row for id_, row in expected.items() if id_ in before)
    async for page in differences.pages(scratch):
        await differences.mend(scratch, page)
    assert left(await rows_in(connection), made) == expected
    await again(purges)
    assert await rows_in(connection) == expected

    await shadow_purges.delete(scratch, await shadow_purges.standing(scratch), ReplayScope())
    assert await shadow_ids(connection) == expected.keys()


def many(count: int, *, first: int = 0, verb: str = "completed") -> list[Event]:
    """Executions that ended one after the other."""
    return [event(verb, n, run=f"run-{n}", output={"n": n}) for n in range(first, first + count)]


BEFORE = PurgePolicy(ended_before=at(1_000))


async def test_a_purge_waits_for_nobody_and_comes_back_for_what_was_held(
    database_url: str,
    connection: Connection,
    writer: Writer,
    purges: Purges,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows that another transaction holds are passed over, and deleted once it has ended; the rest is gone by then."""
    await writer.write(many(300))
    monkeypatch.setattr(purging, "RETRY_SECONDS", 0.01)
    async with connection.transaction():
        held = await connection.fetch("SELECT id FROM workflow_executions ORDER BY id LIMIT 3 FOR UPDATE")
        monkeypatch.setattr(purging, "TRIES_MAX", 3)
        with pytest.raises(WexError, match="3 executions are held by another transaction") as stuck:
            await purge(purges, BEFORE)
        assert "`wex purges resume`" in stuck.value.remedy
        assert set(await rows(database_url)) == {r["id"] for r in held}
        monkeypatch.setattr(purging, "TRIES_MAX", 10_000)
        going_on = asyncio.create_task(again(purges))
    await going_on
    assert await rows(database_url) == {}
    [done] = await purges.list()
    assert (done.executions, done.state) == (300, "finished")


SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.005); RETURN OLD; END $$;
CREATE TRIGGER slow BEFORE DELETE ON workflow_executions FOR EACH ROW EXECUTE FUNCTION slow();
"""


async def test_a_batch_that_takes_long_is_taken_back_and_tried_smaller(
    database_url: str, connection: Connection, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a row takes, no batch holds its rows for longer than it may: it is given up, and halved."""
    await writer.write(many(60))
    await connection.execute(SLOW)
    monkeypatch.setattr(kept_purges, "BATCH_TIMEOUT", "120ms")
    monkeypatch.setattr(purging, "RETRY_SECONDS", 0)
    sizes: list[int] = []
    async with Purges(database_url) as purges:
        id_ = await purges.begin(BEFORE, "ann")
        assert await Purging(purges, sizes.append).run(id_, BEFORE) == 60
    steps = [after - before for before, after in zip([0, *sizes], sizes, strict=False)]
    assert max(steps) <= 120 / 5
    assert sizes[-1] == 60


def test_batches_are_sized_by_the_time_that_they_take() -> None:
    """A quick batch is followed by one of twice its size at most, a slow one by what would have been in time."""
    pace = Pace()
    pace.took(BATCH_SECONDS / 100)
    assert pace.rows == 2 * ROWS_FIRST
    for _ in range(10):
        pace.took(0)
    assert pace.rows == ROWS_MAX
    pace.took(4 * BATCH_SECONDS)
    assert pace.rows == ROWS_MAX / 4
    for _ in range(20):
        pace.failed()
    assert pace.rows == 1
    pace.took(BATCH_SECONDS * 50)
    assert pace.rows == 1


async def test_rows_and_count_go_together(database_url: str, connection: Connection, writer: Writer) -> None:
    """A batch that does not come to its end has deleted nothing and counted nothing."""
    await writer.write(many(10))
    async with Purges(database_url) as purges:
        id_ = await purges.begin(BEFORE, "ann", "testing")
        ids = [place.id for place in await purges.page(BEFORE, None)]
        async with connection.transaction():
            await connection.execute("SELECT FROM purges FOR UPDATE")
            deleting = asyncio.create_task(purges.delete(id_, BEFORE, ids))
            await until(lambda: blocked(database_url), "the batch waits")
            await purges.__aexit__(None, None, None)  # as a kill does
            with pytest.raises(Exception, match=r"PostgreSQL at|connection"):
                await deleting
    assert len(await rows(database_url)) == 10
    async with Purges(database_url) as purges:
        [kept] = await purges.list()
        assert (kept.executions, kept.state, kept.reason) == (0, "unfinished", "testing")
        assert await purges.delete(id_, BEFORE, ids[:4]) == 4
        [kept] = await purges.list()
        assert (kept.executions, len(await rows(database_url))) == (4, 6)


async def test_kill_9_leaves_rows_and_count_together(
    database_url: str, connection: Connection, writer: Writer, purges: Purges
) -> None:
    """A purge that is killed between two batches has counted what it has deleted, and goes on where it was."""
    await writer.write(many(1_000))
    await connection.execute(SLOW)
    command = (sys.executable, "-m", "consumer", "purge", "--ended-before", "2026-02-01", "--apply")
    environment = {**os.environ, "WEX_DATABASE_URL": database_url}
    process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=ROOT, stdout=DEVNULL)

    async def under_way() -> bool:
        return bool(await connection.fetchval("SELECT sum(executions) > 30 FROM purges"))

    await until(under_way, "some rows are deleted")
    process.kill()
    await process.wait()
    await until(lambda: alone(connection), "the database takes back what was not committed")
    [kept] = await purges.list()
    assert kept.executions == 1_000 - len(await rows_in(connection))
    assert (kept.state, 0 < kept.executions < 1_000) == ("unfinished", True)
    await connection.execute("DROP TRIGGER slow ON workflow_executions")
    await again(purges)
    [kept] = await purges.list()
    assert (kept.executions, kept.state, await rows_in(connection)) == (1_000, "finished", {})


async def alone(connection: Connection) -> bool:
    """Whether no purge works in this database any more."""
    return not await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
        " AND pid <> pg_backend_pid()"
    )


async def test_a_consumer_at_the_same_rows_never_waits_for_a_second(
    connection: Connection, writer: Writer, purges: Purges, record_property: Callable[..., None]
) -> None:
    """While slow rows go, events that come for those very rows are applied, each within a second."""
    await writer.write(many(600))
    await connection.execute(SLOW)
    purging = asyncio.create_task(purge(purges, BEFORE))
    waits: list[float] = []
    while not purging.done():
        begun = time.monotonic()
        await writer.write([event("heartbeat", 1, run=f"run-{len(waits) * 37 % 600}", progress={"done": 1})])
        waits.append(time.monotonic() - begun)
    assert await purging >= 600 - len(waits)
    record_property("longest_wait_seconds", max(waits))
    sys.stdout.write(f"longest wait of {len(waits)}: {max(waits):.3f} s\n")
    assert max(waits) < 1


async def test_a_row_that_changed_since_it_was_found_is_judged_anew(database_url: str, writer: Writer) -> None:
    """Between search and batch an execution went on: it stays."""
    await writer.write(many(3))
    async with Purges(database_url) as purges:
        id_ = await purges.begin(BEFORE, "ann")
        ids = [place.id for place in await purges.page(BEFORE, None)]
        await writer.write([event("started", 5, run="run-1", attempt=2)])
        assert await purges.delete(id_, BEFORE, ids) == 2
    [row] = (await rows(database_url)).values()
    assert (row.temporal_run_id, row.status) == ("run-1", "running")


async def test_what_was_withheld_of_an_execution_goes_with_it(
    connection: Connection, writer: Writer, purges: Purges
) -> None:
    """The bytes of a payload that PostgreSQL could not hold are dropped with the row, those of others stay."""
    gone, stays = many(1)[0], event("started", 0, run="run-9")
    withheld = [
        WithheldPayload(writer.partition, n, each.execution_id, {"output": "nul"}, b"secret")
        for n, each in enumerate((gone, stays))
    ]
    await writer.write([gone, stays], withheld=withheld)
    assert await purge(purges, BEFORE) == 1
    found = await connection.fetch("SELECT execution_id FROM withheld_payloads")
    assert [r["execution_id"] for r in found] == [stays.execution_id]


async def test_a_revoked_purge_ends_where_it_runs(database_url: str, writer: Writer) -> None:
    """Whoever revokes a purge stops it at its next batch, and it covers nothing any more."""
    await writer.write(many(500))
    async with Purges(database_url) as purges, Purges(database_url) as other:
        id_ = await purges.begin(BEFORE, "ann")
        revoked: list[bool] = []

        class Revoking(Purges):
            async def delete(self, id: int, policy: PurgePolicy, ids: Sequence[UUID]) -> int:  # noqa: A002 - as above
                deleted = await super().delete(id, policy, ids)
                revoked.append(await other.revoke(id, "bob"))
                return deleted

        async with Revoking(database_url) as revoking:
            with pytest.raises(RevokedError, match=f"purge {id_} was revoked"):
                await Purging(revoking).run(id_, BEFORE)
        assert revoked == [True]
        assert not await purges.revoke(id_, "bob")
        [kept] = await purges.list()
        assert (kept.state, kept.revoked_by, kept.executions) == ("revoked", "bob", ROWS_FIRST)
        assert await purges.standing() == []
    assert len(await rows(database_url)) == 500 - ROWS_FIRST


async def test_what_another_purge_covers_counts_no_more(database_url: str) -> None:
    """Of a policy that is applied every day the last one stands, and those that cover something else."""
    day = timedelta(days=1)
    other = PurgePolicy(ended_before=at(0) + 9 * day, workflows=["b", "a", "b"])
    narrow = PurgePolicy(ended_before=at(0) + 2 * day, workflows=["a"], statuses=["failed"])
    hidden = PurgePolicy(ended_before=at(0), deleted_before=at(0) + 9 * day)
    hidden_later = PurgePolicy(deleted_before=at(0) + 9 * day)
    elsewhere = PurgePolicy(namespace="elsewhere", ended_before=at(0))
    async with Purges(database_url) as purges:
        ids = {}
        for number in range(5):
            ids[number] = await purges.begin(PurgePolicy(ended_before=at(0) + number * day), "cron")
        for policy in (other, narrow, hidden, hidden_later, elsewhere):
            await purges.begin(policy, "ann")
        same = await purges.begin(hidden_later, "bob")
        standing = [(each.policy, each.id) for each in await purges.standing()]
        assert {policy for policy, _ in standing} == {
            PurgePolicy(ended_before=at(0) + 4 * day),
            other,
            hidden_later,
            elsewhere,
        }
        assert same in {id_ for _, id_ in standing}
        assert [each.state for each in await purges.list([ids[0], ids[4]])] == ["unfinished", "covered"]
        await purges.revoke(ids[4], "ann")
        assert PurgePolicy(ended_before=at(0) + 3 * day) in {each.policy for each in await purges.standing()}


REFUSED = [
    ({"ended_before": timedelta(days=-1)}, "ended_before"),
    ({"ended_before": datetime(2026, 1, 1)}, "ended_before"),  # noqa: DTZ001 - that is what is refused
    ({}, "say before when"),
    ({"ended_before": at(0), "statuses": ["running"]}, "'running' is no status"),
    ({"ended_before": at(0), "workflows": ["a\0"]}, "NUL"),
    ({"ended_before": at(0), "workflows": map(str, range(1_001))}, "at most 1000"),
]


@pytest.mark.parametrize(("values", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_a_policy_that_cannot_be_meant_is_refused(values: dict[str, object], why: str) -> None:
    """Open executions, no time at all, and what PostgreSQL cannot hold make no policy."""
    with pytest.raises(ValueError, match=why):
        PurgePolicy(**values)  # type: ignore[arg-type] # that is what is refused


def test_ages_become_times_once() -> None:
    """A policy is kept with times, and none of them lies ahead."""
    policy = PurgePolicy(ended_before=timedelta(days=90), deleted_before=at(7), statuses=["failed"])
    assert policy.at(at(8)).kept == ("default", (), ("failed",), at(8) - timedelta(days=90), at(7))
    with pytest.raises(ValueError, match="not past"):
        policy.at(at(6))
    assert set(ENDED) >= {"completed", "continued_as_new"}


KEPT_BADLY = [
    ("purge_is_of_the_past", "now() + interval '1 s', NULL, '{}', NULL, NULL"),
    ("purge_is_of_the_past", "NULL, now() + interval '1 s', '{}', NULL, NULL"),
    ("purge_has_a_bound", "NULL, NULL, '{}', NULL, NULL"),
    ("purge_is_of_what_has_ended", "now(), NULL, '{running}', NULL, NULL"),
    ("revocation_is_told_whole", "now(), NULL, '{}', now(), NULL"),
]


@pytest.mark.parametrize(("constraint", "values"), KEPT_BADLY)
async def test_the_schema_refuses_what_is_no_policy(connection: Connection, constraint: str, values: str) -> None:
    """Whoever writes a purge by hand cannot cover what is still to come, or what has not ended."""
    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        await connection.execute(
            "INSERT INTO purges (namespace, begun_by, ended_before, deleted_before, statuses, revoked_at, revoked_by)"
            f" VALUES ('default', 'ann', {values})"
        )
