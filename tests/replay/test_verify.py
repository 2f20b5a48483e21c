"""`verify` and `repair` on a real Kafka and a real PostgreSQL: what differs is named, exactly, and mended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition as KafkaPartition

from consumer.errors import ExitCode, WexError
from consumer.replay import verify as verifying
from consumer.replay.log_reader import LogLostError
from consumer.replay.verify import Question, Verdict, verify
from store import PostgresStore
from store.shadow import BusyError, Shadow
from tests.consuming import applied as applied_all
from tests.consuming import consume_all, consuming, encoded, fetch, make_service, produce, until
from tests.kafka.poison import HEADERS, producing, send_batch
from tests.lives import BEGIN, event
from tests.recount import assert_right
from tests.replay.applying import apply_all
from tests.replay.corrupting import Found, corrupt
from tests.replay.load import EVENTS_EACH, records
from tests.stack import Servers

EXECUTIONS = 300


async def verified(servers: Servers, database_url: str, *, repair: bool = False, **question: object) -> Verdict:
    """The verdict on a database."""
    asked = Question(limit=1000, **question)  # type: ignore[arg-type] # the tests name what they ask
    return await verify(servers.kafka_bootstrap_servers, database_url, "tests", asked, lambda *_: None, repair=repair)


def named(verdict: Verdict) -> Found:
    """What a verdict names, in the form in which it was corrupted."""
    return {(d.relation, d.key): (d.kind, frozenset(d.fields)) for d in verdict.described}


async def execute(database_url: str, sql: str, *arguments: object) -> None:
    """Do something behind the service's back, past the foreign keys."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(sql, *arguments)
    finally:
        await connection.close()


async def delete_records(servers: Servers, topic: str, before: Mapping[int, int]) -> None:
    """Let retention take the beginning of some partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka_bootstrap_servers)
    await admin.start()
    try:
        wanted = {KafkaPartition(topic, n): RecordsToDelete(before_offset=offset) for n, offset in before.items()}
        await admin.delete_records(wanted)
    finally:
        await admin.close()


@pytest.fixture
async def applied(servers: Servers, database_url: str, topic: str) -> str:
    """A database into which a topic was applied."""
    await produce(servers.kafka_bootstrap_servers, topic, records(EXECUTIONS))
    await apply_all(servers.kafka_bootstrap_servers, database_url, topic)
    return database_url


async def test_a_table_that_equals_its_log_is_proven(servers: Servers, applied: str) -> None:
    """Nothing differs after everything was applied, and nothing of the scratch is left."""
    verdict = await verified(servers, applied)
    assert (verdict.different, verdict.executions, verdict.folded.events) == (0, EXECUTIONS, 3 * EXECUTIONS)
    assert (verdict.coverage.complete, verdict.miscounted, verdict.equal) == (True, 0, True)
    assert await fetch(applied, "SELECT 1 FROM pg_namespace WHERE nspname = 'wex_verify'") == []


@pytest.mark.parametrize("seed", [1, 2])
async def test_corrupted_rows_are_named_exactly_and_mended(servers: Servers, applied: str, seed: int) -> None:
    """Seventy rows that were corrupted in every column are named with each field; repair mends them, and only them."""
    before = await fetch(applied, "SELECT id, applied_at FROM workflow_executions")
    corrupted = await corrupt(applied, seed=seed, rows=70)
    verdict = await verified(servers, applied)
    assert named(verdict) == corrupted
    assert verdict.different == 70
    for each in verdict.described:
        for field in each.fields:
            assert verdict.search.position(each, field) is not None, f"{each.key} {field}"
    assert verdict.miscounted, "corrupted behind the back of the triggers"
    assert (await verified(servers, applied, repair=True)).different == 70
    await assert_right(applied)
    assert (await verified(servers, applied)).different == 0
    after = {r["id"]: r["applied_at"] for r in await fetch(applied, "SELECT id, applied_at FROM workflow_executions")}
    untouched = [r for r in before if ("workflow_executions", (str(r["id"]),)) not in corrupted]
    assert [r["id"] for r in untouched if after[r["id"]] != r["applied_at"]] == []


async def test_the_deciding_event_is_named(servers: Servers, database_url: str, topic: str) -> None:
    """Beside each field stands where the event lies that it comes from."""
    bootstrap = servers.kafka_bootstrap_servers
    lives = [
        event("started", 0, user_id="ann", input={"a": 1}),
        event("completed", 5, output=1),
        event("completed", 4, output=2),
        event("heartbeat", 6, progress={"done": 1}),
    ]
    await produce(bootstrap, topic, encoded(lives), partitions=1)
    await apply_all(bootstrap, database_url, topic)
    await execute(
        database_url,
        "UPDATE workflow_executions SET input = '2', output = '3', status = 'failed', updated_at = updated_at + '1 s'",
    )
    await execute(database_url, "DELETE FROM users")
    verdict = await verified(servers, database_url)
    [row, user] = sorted(verdict.described, key=lambda each: each.relation, reverse=True)
    places = {field: verdict.search.position(row, field) for field in row.fields}
    assert {field: place and place.offset for field, place in places.items()} == {
        "input": 0,
        "output": 2,
        "status": 2,
        "updated_at": 3,
    }
    assert row.fields["output"] == ("3", "2")
    at = verdict.search.position(user, "created_at")
    assert (user.kind, at and tuple(at)) == ("missing", (topic, 0, 0))


async def test_dead_letters_are_left_out_and_counted(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records with an open dead letter take no part, whoever could not read them; one without is counted."""
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, [*records(20), b"no event", None], partitions=2)
    async with producing(servers, monkeypatch) as producer:
        good = [(value, ()) for value in records(2, first=20)]
        await send_batch(producer, topic, 1, [*good[:3], (good[0][0], HEADERS), *good[3:]])
    await consume_all(bootstrap, PostgresStore(database_url), topic)
    verdict = await verified(servers, database_url)
    assert (verdict.different, verdict.folded.left_out, verdict.folded.refused) == (0, 2, 0)
    assert verdict.folded.events == 22 * EVENTS_EACH
    await execute(
        database_url,
        "UPDATE dead_letters SET redrives = 1, redrive_outcome = 'skipped', redrive_at = now(), redrive_by = 'ann'"
        " WHERE reason = 'header_not_utf8'",
    )
    verdict = await verified(servers, database_url)
    assert (verdict.different, verdict.folded.left_out, verdict.folded.refused) == (0, 1, 1)


async def test_what_retention_took_is_unverifiable_and_nothing_else(servers: Servers, applied: str, topic: str) -> None:
    """Rows whose events are gone are named apart and are no difference; rows that the log still holds are proven."""
    await delete_records(servers, topic, {0: 150, 1: 150, 2: 150})
    verdict = await verified(servers, applied)
    assert verdict.different == 0
    assert len(verdict.coverage.gone) == 3
    gone = {each.key for each in verdict.unverifiable_described if each.relation == "workflow_executions"}
    assert len(gone) == 150
    [covered] = await fetch(
        applied,
        "SELECT max(id::text) AS id FROM workflow_executions WHERE id::text <> ALL($1)",
        [key for (key,) in gone],
    )
    await execute(applied, "UPDATE workflow_executions SET actor = 'x' WHERE id = $1", covered["id"])
    verdict = await verified(servers, applied, repair=True)
    assert named(verdict) == {("workflow_executions", (covered["id"],)): ("changed", frozenset({"actor"}))}
    assert (await verified(servers, applied)).different == 0
    [rows] = await fetch(applied, "SELECT count(*) AS rows FROM workflow_executions")
    assert rows["rows"] == EXECUTIONS


async def test_it_works_beside_a_running_consumer(servers: Servers, database_url: str, topic: str) -> None:
    """Rows and positions belong to one moment: while events are applied, nothing differs; repair mends what does."""
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, records(200))
    producing_ = True

    async def keep_producing() -> int:
        count = 0
        while producing_:
            count += await produce(bootstrap, topic, records(10, first=200 + count // EVENTS_EACH))
            await asyncio.sleep(0.05)  # a load, not as much as there can be
        return count

    async with consuming(make_service(bootstrap, PostgresStore(database_url), topic)):
        await until(lambda: applied_all(database_url, topic, 600), "the first events are applied")
        writer = asyncio.create_task(keep_producing())
        verdicts = [await verified(servers, database_url) for _ in range(3)]
        corrupted = await corrupt(database_url, seed=3, rows=20)
        mended = await verified(servers, database_url, repair=True)
        producing_ = False
        total = 600 + await writer
        await until(lambda: applied_all(database_url, topic, total), "everything is applied")
    assert [each.different for each in verdicts] == [0, 0, 0]
    assert verdicts[0].folded.events < verdicts[2].folded.events
    assert named(mended).keys() == corrupted.keys()
    last = await verified(servers, database_url)
    assert (last.different, last.folded.events) == (0, total)


async def test_a_sample_finds_what_lies_within_it(servers: Servers, applied: str) -> None:
    """A sample looks at about so many executions; the same seed looks at the same ones, missing rows included."""
    await execute(applied, "UPDATE workflow_executions SET actor = 'x'")
    found = [await verified(servers, applied, sample=100, seed=5) for _ in range(2)]
    assert 60 <= found[0].different <= 140
    assert named(found[0]) == named(found[1])
    await execute(applied, "DELETE FROM workflow_executions")
    assert {kind for kind, _ in named(await verified(servers, applied, sample=100, seed=5)).values()} <= {"missing"}


async def test_one_execution_one_workflow_and_a_time(servers: Servers, applied: str) -> None:
    """Only one execution, or those of a workflow, or those that began at a time or later, are compared."""
    await execute(applied, "UPDATE workflow_executions SET actor = 'x'")
    ours = await verified(servers, applied, workflow_id="workflow-3")
    assert {each.table["workflow_id"] for each in ours.described} == {"workflow-3"}
    assert ours.different == EXECUTIONS / 20
    [one] = await fetch(applied, "SELECT id FROM workflow_executions WHERE temporal_workflow_id = 'order-5'")
    mended = await verified(servers, applied, execution_id=one["id"], repair=True)
    assert [each.key for each in mended.described] == [(str(one["id"]),)]
    assert (await verified(servers, applied)).different == EXECUTIONS - 1
    late = await verified(servers, applied, since=BEGIN + timedelta(seconds=EXECUTIONS - 10))
    assert late.different == 10


async def test_offsets_that_were_given_up_are_passed_over(servers: Servers, applied: str, topic: str) -> None:
    """What an operator gave up is no difference; its executions, if the table has them after all, are unverifiable."""
    await execute(
        applied,
        "INSERT INTO incidents (kind, consumer_group, topic, partition, detail, resolved_at, resolved_by, resolution,"
        " accepted_from, accepted_to) VALUES ('corrupt', 'tests', $1, 0, '', now(), 'ann', 'accepted', 10, 20)",
        topic,
    )
    verdict = await verified(servers, applied)
    assert (verdict.different, verdict.folded.events) == (0, EXECUTIONS * EVENTS_EACH - 10)
    assert verdict.coverage.gone == (f"{topic}/0 was given up from 10 to 19",)
    assert {each.relation for each in verdict.unverifiable} >= {"workflow_executions"}


async def test_transactions_leave_holes_that_are_no_difference(servers: Servers, database_url: str, topic: str) -> None:
    """Markers and aborted events are passed over as the consumer passes them over."""
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, records(10), partitions=2)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic)
    await producer.start()
    for number, aborted in ((10, True), (11, False), (12, True)):
        await producer.begin_transaction()
        for value in records(1, first=number):
            await producer.send_and_wait(topic, value, partition=0)
        await (producer.abort_transaction() if aborted else producer.commit_transaction())
    await producer.stop()
    await consume_all(bootstrap, PostgresStore(database_url), topic)
    verdict = await verified(servers, database_url)
    assert (verdict.different, verdict.folded.events, verdict.executions) == (0, 33, 11)


async def test_a_log_that_was_made_anew_is_no_log_to_verify_with(servers: Servers, applied: str, topic: str) -> None:
    """A log that ends before the table's position is named, and proves nothing."""
    await execute(applied, "UPDATE positions SET next_offset = 100000 WHERE partition = 0")
    with pytest.raises(LogLostError, match=f"the log of {topic}/0 ends at 300, before the position 100000"):
        await verified(servers, applied)


async def test_what_cannot_be_verified_is_refused(servers: Servers, applied: str) -> None:
    """A table of another version of the fold, one without positions, and a scratch in use are refused with reasons."""
    async with Shadow(applied, verifying.SCHEMA, group="tests"):
        with pytest.raises(BusyError, match="another process works on the schema wex_verify"):
            await verified(servers, applied)
    await execute(applied, "UPDATE positions SET fold_version = 99")
    with pytest.raises(WexError, match="folded by version 99") as refused:
        await verified(servers, applied)
    assert refused.value.exit_code == ExitCode.REFUSED
    await execute(applied, "DELETE FROM positions")
    with pytest.raises(WexError, match="no positions"):
        await verified(servers, applied)


async def test_what_a_killed_verify_has_left_is_cleared_away(servers: Servers, applied: str) -> None:
    """The scratch of a verify that was killed is dropped by the next one."""
    await execute(applied, "CREATE SCHEMA wex_verify")
    await execute(applied, "CREATE TABLE wex_verify.workflow_executions (id integer)")
    assert (await verified(servers, applied)).different == 0
