"""Replays on a real Kafka and a real PostgreSQL: built, looked at, swapped in, taken back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg
import pytest

from consumer import batch
from consumer.errors import ExitCode, WexError
from consumer.replay import rebuild as rebuilding
from consumer.replay.rebuild import Rebuild
from consumer.replay.refusals import Reason
from events import Event, Verb, encode
from events.codec import Skipped, decode
from events.errors import InvalidEvent
from events.fold import FOLD_VERSION, State, state_of
from store import ExecutionReader, PostgresStore
from store.errors import UnavailableError
from store.failures import translate
from store.replays import SCHEMA, Step
from store.shadow import Shadow
from tests.consuming import applied as applied_all
from tests.consuming import consume_all, consuming, fetch, make_service, produce, rows, until
from tests.lives import LIVES, life
from tests.recount import assert_right
from tests.replay.applying import apply_all
from tests.replay.conftest import Rebuilding
from tests.replay.databases import crossing, fingerprint, objects
from tests.replay.load import EVENTS_EACH, records
from tests.replay.test_verify import delete_records, execute, verified
from tests.stack import Servers

EXECUTIONS = 200


@pytest.fixture
async def applied(servers: Servers, database_url: str, topic: str) -> str:
    """A database into which a topic was applied."""
    await produce(servers.kafka_bootstrap_servers, topic, records(EXECUTIONS))
    await apply_all(servers.kafka_bootstrap_servers, database_url, topic)
    return database_url


async def test_a_rebuilt_table_is_the_table(servers: Servers, applied: str, topic: str, rebuild: Rebuilding) -> None:
    """A replay of a right table changes nothing; it takes the table's place, and the consumer goes on with it."""
    before = await fingerprint(applied)
    report = await rebuild().start()
    assert (report.state.step, report.behind) == (Step.READY, 0)
    preview = await rebuild().diff(10)
    assert (list(preview.counts), list(preview.described), preview.carried) == ([], [], 0)
    old = await objects(applied, "public")
    await rebuild().swap()
    assert (await rebuild().status()).state.step is Step.SWAPPED
    new = await objects(applied, "public")
    moved = {name for name in old if old[name] != new[name]}
    assert new.keys() == old.keys()
    assert {name for name in moved if not name.startswith("i ")} == {
        "r workflow_executions",
        "r workflows",
        "r users",
        "v execution_rows",
        "function same_attempt",
        "function same_verdict",
        "r execution_statistics",
        "r statistics_deltas",
        "r statistics_mark",
        "v statistics_missing",
        "function count_changes",
        "function statistics_of",
    }
    await assert_right(applied)
    assert await crossing(applied, SCHEMA) == []
    assert await fingerprint(applied, SCHEMA) == before
    assert (await verified(servers, applied)).different == 0
    await produce(servers.kafka_bootstrap_servers, topic, records(10, first=EXECUTIONS))
    await apply_all(servers.kafka_bootstrap_servers, applied, topic)
    assert (await verified(servers, applied)).executions == EXECUTIONS + 10
    await assert_right(applied)
    await rebuild().drop()
    assert (await verified(servers, applied)).different == 0
    assert await fetch(applied, "SELECT 1 FROM pg_namespace WHERE nspname LIKE 'wex%'") == []


async def test_a_swap_of_an_earlier_version_is_taken_back(applied: str, rebuild: Rebuilding) -> None:
    """What this version keeps beside the old table need not be there: an earlier one did not keep it."""
    before = await fingerprint(applied)
    await rebuild().start()
    await rebuild().swap()
    await execute(applied, f"DROP TABLE {SCHEMA}.reopened")
    await rebuild().rollback()
    assert await fingerprint(applied) == before


def without_outputs(event: Event) -> State:
    """A fold with a bug: it forgets what completed executions put out."""
    state = state_of(event)
    if event.verb is not Verb.COMPLETED:
        return state
    return State(
        state.run,
        {name: cell for name, cell in state.registers.items() if name != "output"},
        state.created_at,
        state.updated_at,
    )


async def test_a_bug_of_the_fold_is_seen_replaced_and_taken_back(
    servers: Servers, database_url: str, topic: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The diff shows exactly the rows that a bug touched; the swap mends them; the rollback is bit for bit."""
    await produce(servers.kafka_bootstrap_servers, topic, records(EXECUTIONS))
    with monkeypatch.context() as patched:
        patched.setattr(batch, "state_of", without_outputs)
        await apply_all(servers.kafka_bootstrap_servers, database_url, topic)
    wrong = await fingerprint(database_url)
    touched = {(str(id_),) for id_, row in (await rows(database_url)).items() if row.status == "completed"}
    assert len(touched) == EXECUTIONS / 4

    await rebuild().start()
    preview = await rebuild().diff(1000)
    assert {each.key for each in preview.described} == touched
    assert {name for each in preview.described for name in each.fields} == {"output", "output_order"}
    assert [(each.kind, each.status_in_table, each.rows) for each in preview.counts] == [("changed", "completed", 50)]
    await rebuild().swap()
    assert (await verified(servers, database_url)).different == 0
    right = await fingerprint(database_url)
    await rebuild().rollback()
    await assert_right(database_url)
    assert await fingerprint(database_url) == wrong != right
    assert (await verified(servers, database_url)).different == EXECUTIONS / 4

    await rebuild().swap()  # and once more, for the shadow is still there
    assert (await verified(servers, database_url)).different == 0
    await rebuild().rollback()
    await rebuild().abort()
    assert await fingerprint(database_url) == wrong


async def test_what_retention_took_is_carried_over(
    servers: Servers, applied: str, topic: str, rebuild: Rebuilding
) -> None:
    """Nothing disappears with the first half of the log: it is carried over, counted, named; swap says what to pass."""
    before = await rows(applied)
    await delete_records(servers, topic, {0: 100, 1: 100, 2: 100})
    await rebuild().start()
    preview = await rebuild().diff(1000)
    assert list(preview.counts) == []
    assert preview.carried == len(preview.carried_ids) == EXECUTIONS / 2
    expected = r"the log of .*/0 begins at 100; .*; 100 executions were carried over"
    with pytest.raises(WexError, match=expected) as refused:
        await rebuild().swap()
    assert (refused.value.exit_code, "--accept gone" in refused.value.remedy) == (ExitCode.REFUSED, True)
    await rebuild().swap([Reason.GONE])
    assert await rows(applied) == before
    assert (await verified(servers, applied)).different == 0


async def test_every_register_is_carried_over(
    servers: Servers, database_url: str, topic: str, rebuild: Rebuilding
) -> None:
    """Whatever an execution has been through, and whatever of it the log has lost, its row is what it was."""
    lives = [encode(event) for number in range(1, len(LIVES) + 1) for event in life(number, f"run-{number}")[0]]
    await produce(servers.kafka_bootstrap_servers, topic, lives)
    await apply_all(servers.kafka_bootstrap_servers, database_url, topic)
    for lost in (len(lives) // 6, len(lives) // 3):
        await delete_records(servers, topic, {0: lost, 1: lost, 2: lost})
        await rebuild().start()
        preview = await rebuild().diff(10)
        assert list(preview.described) == []
        assert len(LIVES) / 3 < preview.carried <= len(LIVES)
        await rebuild().abort()


async def test_fewer_rows_and_what_hangs_on_the_table_are_refused(
    servers: Servers, applied: str, rebuild: Rebuilding
) -> None:
    """A swap that would lose executions, or leave a view with the old table, says so and what to pass."""
    await execute(
        applied,
        "INSERT INTO workflow_executions (id, namespace, temporal_workflow_id, temporal_run_id, workflow_id,"
        " created_at, updated_at) SELECT gen_random_uuid(), namespace, temporal_workflow_id, 'other', workflow_id,"
        " created_at, updated_at FROM workflow_executions LIMIT 3",
    )
    await execute(applied, "CREATE VIEW mine AS SELECT id FROM workflow_executions")
    await rebuild().start()
    preview = await rebuild().diff(1)
    assert [(each.kind, each.rows) for each in preview.counts] == [("extra", 3)]
    with pytest.raises(WexError, match=r"has 203 executions, the shadow 200; .*: view public.mine") as refused:
        await rebuild().swap()
    assert "--accept fewer-rows --accept dependents" in refused.value.remedy
    await rebuild().swap([Reason.FEWER_ROWS, Reason.DEPENDENTS])
    assert (await verified(servers, applied)).executions == EXECUTIONS


RIGHTS = """
SELECT t.relname, o.rolname AS owner, a.column_name, a.grantee, a.privilege_type, a.is_grantable
FROM pg_class AS t
INNER JOIN pg_roles AS o ON t.relowner = o.oid
CROSS JOIN LATERAL (
    SELECT '' AS column_name, x.* FROM aclexplode(t.relacl) AS x
    UNION ALL
    SELECT c.attname, x.* FROM pg_attribute AS c CROSS JOIN LATERAL aclexplode(c.attacl) AS x WHERE c.attrelid = t.oid
) AS a
WHERE t.relnamespace = 'public'::regnamespace
    AND t.relname IN ('workflow_executions', 'workflows', 'users', 'execution_rows', 'execution_statistics')
"""


async def test_readers_keep_their_rights(applied: str, rebuild: Rebuilding) -> None:
    """Whoever owned or was allowed to read a table, or a column of it, owns or reads the new one, and nobody else."""
    role = f"reader_{applied[-8:]}"
    await execute(applied, f"CREATE ROLE {role}")
    try:
        await execute(applied, f"GRANT SELECT ON workflow_executions, execution_rows TO {role} WITH GRANT OPTION")
        await execute(applied, f"GRANT SELECT (id), UPDATE (name) ON workflows TO {role}")
        await execute(applied, f"GRANT SELECT ON execution_statistics TO {role}")
        await execute(applied, "GRANT SELECT ON users TO PUBLIC")
        await execute(applied, f"ALTER TABLE users OWNER TO {role}")
        before = set(await fetch(applied, RIGHTS))
        assert {(r["relname"], r["owner"]) for r in before} > {("users", role)}
        await rebuild().start()
        await rebuild().swap()
        assert set(await fetch(applied, RIGHTS)) == before
    finally:
        await execute(applied, f"REASSIGN OWNED BY {role} TO CURRENT_USER")
        await execute(applied, f"DROP OWNED BY {role}")
        await execute(applied, f"DROP ROLE {role}")


async def test_a_swap_waits_for_a_reader_that_holds_the_table(applied: str, rebuild: Rebuilding) -> None:
    """A long transaction of a reader delays the swap, and no other reader waits for longer than a moment."""
    await rebuild().start()
    loop = asyncio.get_running_loop()
    holder = await asyncpg.connect(applied)
    reader = await asyncpg.connect(applied)
    try:
        transaction = holder.transaction()
        await transaction.start()
        await holder.fetch("SELECT count(*) FROM workflow_executions")
        swapping = asyncio.create_task(rebuild().swap())
        longest = 0.0
        deadline = loop.time() + 4
        while loop.time() < deadline:
            begun = loop.time()
            await reader.fetch("SELECT count(*) FROM execution_rows")
            longest = max(longest, loop.time() - begun)
        assert not swapping.done()
        await transaction.rollback()
        await swapping
        assert 0.05 < longest < 1.5, "it queued behind a try of the swap, and not for long"
    finally:
        await holder.close()
        await reader.close()


async def test_two_at_once_and_steps_out_of_turn_are_refused(applied: str, rebuild: Rebuilding) -> None:
    """One process works on a replay at a time, and each command says which one would be in turn."""
    for refused in (rebuild().status(), rebuild().diff(1), rebuild().swap(), rebuild().rollback(), rebuild().drop()):
        with pytest.raises(WexError, match="there is no replay"):
            await refused
    async with Shadow(applied, SCHEMA, group="tests"):
        with pytest.raises(Exception, match="another process works on"):
            await rebuild().start()
    await rebuild().start()
    with pytest.raises(WexError, match="no swap to take back"):
        await rebuild().rollback()
    with pytest.raises(WexError, match="nothing is swapped"):
        await rebuild().drop()
    await rebuild().swap()
    with pytest.raises(WexError, match="swapped in"):
        await rebuild().start()
    with pytest.raises(WexError, match="holds the old table"):
        await rebuild().abort()
    with pytest.raises(WexError, match="swapped in"):
        await rebuild().swap()


async def test_consumers_are_not_held_for_ever(
    servers: Servers, applied: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A swap that does not come to its end in time changes nothing, and lets consumers apply again."""
    await rebuild().start()
    monkeypatch.setattr("store.shadow.LOCKED_SECONDS", 0.3)
    before = await fingerprint(applied)

    def hang(step: Step) -> None:
        if step is Step.EXCHANGE:
            time.sleep(0.4)

    with pytest.raises(UnavailableError, match="consumers were held for"):
        await Rebuild(servers.kafka_bootstrap_servers, applied, "tests", reached=hang).swap()
    assert await fingerprint(applied) == before
    monkeypatch.undo()
    await rebuild().swap()


async def test_a_commit_that_is_not_confirmed_is_not_said_to_have_changed_nothing(
    applied: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that takes too long may have come to its end, and the error says who knows."""
    await rebuild().start()
    await execute(
        applied,
        "CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$",
    )
    await execute(
        applied,
        "CREATE CONSTRAINT TRIGGER dawdles AFTER UPDATE ON positions DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION public.dawdle()",
    )
    monkeypatch.setattr("store.shadow.LOCKED_SECONDS", 3)
    with pytest.raises(UnavailableError, match="whether it was committed is not known"):
        await rebuild().swap()


async def test_a_lock_that_is_not_had_is_known_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the language of the server, a lock that is not had is tried again, and nothing else."""
    monkeypatch.setattr(rebuilding, "RETRY_SECONDS", 0)
    tries: list[type[Exception]] = [asyncpg.AdminShutdownError]
    tries += [asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError]

    async def once() -> None:
        try:
            raise tries.pop()("délai d'attente du verrou")
        except asyncpg.PostgresError as error:
            raise translate(error, "postgresql://127.0.0.1/x") from error

    with pytest.raises(UnavailableError):
        await rebuilding._trying(once)
    assert tries == []


async def test_a_changed_fold_is_released_by_replay_diff_and_swap(
    servers: Servers, applied: str, topic: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version does not write into the old table, nor the old one into the new; replay, diff, swap lie between."""
    old = await fingerprint(applied)

    def with_heartbeats_as_progress(event: Event) -> State:
        state = state_of(event)
        registers = {name: cell for name, cell in state.registers.items() if name != "activities"}
        return State(state.run, registers, state.created_at, state.updated_at)

    with monkeypatch.context() as changed:
        for module in ("consumer.core", "consumer.replay.verify", "consumer.replay.refusals"):
            changed.setattr(f"{module}.FOLD_VERSION", FOLD_VERSION + 1)
        for module in ("store.postgres", "store.replays"):
            changed.setattr(f"{module}.FOLD_VERSION", FOLD_VERSION + 1)
        changed.setattr(batch, "state_of", with_heartbeats_as_progress)
        for group in ("tests", "another"):
            service = make_service(
                servers.kafka_bootstrap_servers, PostgresStore(applied), topic, group=group, until_caught_up=True
            )
            assert "the table was folded by version 1, this is version 2" in await service.run()
        with pytest.raises(WexError, match="wex replay start"):
            await verified(servers, applied)
        await rebuild().start()
        preview = await rebuild().diff(5)
        assert sum(each.rows for each in preview.counts) == EXECUTIONS
        assert {name for each in preview.described for name in each.fields} == {
            "activities_executed",
            "activities_order",
            "register_activities_executed",
        }
        await rebuild().swap()
        assert (await verified(servers, applied)).different == 0
        await consume_all(servers.kafka_bootstrap_servers, PostgresStore(applied), topic)
    for group in ("tests", "a-third"):
        service = make_service(
            servers.kafka_bootstrap_servers, PostgresStore(applied), topic, group=group, until_caught_up=True
        )
        assert "the table was folded by version 2, this is version 1" in await service.run()
    await rebuild().rollback()
    assert (await fingerprint(applied))["workflow_executions"] == old["workflow_executions"]
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(applied), topic)
    assert (await verified(servers, applied)).different == 0


async def test_dead_letters_of_a_new_fold_come_and_go_with_it(
    servers: Servers, applied: str, rebuild: Rebuilding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that the new fold refuses is a dead letter after the swap, and none after the rollback."""

    def stricter(value: bytes | None, headers: Any = ()) -> Event | Skipped:
        if b'"run-7"' in (value or b""):
            raise InvalidEvent("too_old", "data", "made up")
        return decode(value, headers)

    monkeypatch.setattr(batch, "decode", stricter)
    await rebuild().start()
    preview = await rebuild().diff(10)
    assert [each.kind for each in preview.counts if each.relation == "workflow_executions"] == ["extra"]
    await rebuild().swap([Reason.FEWER_ROWS])
    letters = "SELECT reason FROM dead_letters"
    assert [r["reason"] for r in await fetch(applied, letters)] == ["too_old"] * EVENTS_EACH
    assert (await verified(servers, applied)).folded.left_out == EVENTS_EACH
    await rebuild().rollback()
    assert await fetch(applied, letters) == []


async def test_a_reader_reads_on_through_swap_and_rollback(
    servers: Servers, applied: str, topic: str, rebuild: Rebuilding
) -> None:
    """A reader's connections, with statements that are prepared already, see the new table and then the old one."""
    await rebuild().start()
    bootstrap = servers.kafka_bootstrap_servers
    async with (
        ExecutionReader.connect(applied) as reader,
        consuming(make_service(bootstrap, PostgresStore(applied), topic)),
    ):
        for step in (rebuild().swap, rebuild().rollback, rebuild().swap):
            found = await reader.get("order-7")
            assert found is not None
            assert found.status == "paused"
            await step()
        total = await produce(bootstrap, topic, records(5, first=EXECUTIONS))
        await until(
            lambda: applied_all(applied, topic, EXECUTIONS * EVENTS_EACH + total), "the consumer goes on by itself"
        )
        assert await reader.get(f"order-{EXECUTIONS}") is not None
    assert (await verified(servers, applied)).different == 0
