"""The merge in SQL writes what changed, keeps large values where they are, and never deadlocks."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
from msgspec.structs import replace

from events import Event, State, Verb, fold, row
from events.catalogue import Catalogue, WorkflowEntry
from events.fold import REGISTERS, Cell, Register
from events.payload import JsonText
from events.position import TopicPartition
from store import PostgresStore
from store.batch import Batch, DeadLetter, LogRange, Move
from store.errors import FencedError, RefusedError
from tests.conformance.stores import Writer, kept_in_postgres, states_of
from tests.contract.golden import full
from tests.lives import at, event
from tests.strategies import NASTY_TEXTS

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

# JSON of about 100 kB that does not compress, so that it must be stored out of line.
LARGE = {"noise": [hashlib.sha256(str(n).encode()).hexdigest() for n in range(1_500)]}
OTHER_LARGE = {"noise": [hashlib.sha256(str(-n).encode()).hexdigest() for n in range(1_500)]}

Version = tuple[object, ...]


async def versions(connection: Connection) -> list[Version]:
    """Where every row of the tables of executions, workflows and users stands, who wrote it, and who locked it."""
    sql = """
        SELECT 'e', id::text, xmin::text, xmax::text, ctid::text, applied_at FROM workflow_executions
        UNION ALL SELECT 'w', namespace || id, xmin::text, xmax::text, ctid::text, created_at FROM workflows
        UNION ALL SELECT 'u', id, xmin::text, xmax::text, ctid::text, created_at FROM users
        ORDER BY 1, 2
    """
    return [tuple(record) for record in await connection.fetch(sql)]


async def chunks(connection: Connection) -> set[tuple[int, str, str]]:
    """The out-of-line pieces of all payloads: which value, where, and who wrote them."""
    table = await connection.fetchval(
        "SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = 'workflow_executions'::regclass"
    )
    return {tuple(r) for r in await connection.fetch(f"SELECT chunk_id, ctid::text, xmin::text FROM {table}")}


LIFE = [
    event("scheduled", 0, user_id="ada", workflow_name="Invoice", labels={"a": "1"}, scheduled_for=at(1)),
    event("started", 1, input={"a": 1}, parent={"temporal_workflow_id": "p", "temporal_run_id": "1"}),
    event("heartbeat", 2, progress={"done": 1}, activities_executed=3),
    event("cancel_requested", 3),
    event("completed", 4, output={"o": 1}, duration_ms=7, reason="r", actor="ada"),
    event("failed", 5, error={"message": "E"}),
    event("deleted", 6),
    event("restored", 7),
]


async def test_an_event_that_changes_nothing_writes_nothing(connection: Connection, writer: Writer) -> None:
    """Applying again what is applied already leaves every row where it is, unlocked, with its applied_at."""
    await writer.write(LIFE)
    before = await versions(connection)
    for again in (LIFE, LIFE[::-1], *([one] for one in LIFE)):
        assert (await writer.write(again)).rows_changed == 0
    assert await versions(connection) == before


@pytest.mark.parametrize("last", range(1, len(LIFE)))
async def test_an_event_that_changes_something_writes_its_row(
    connection: Connection, writer: Writer, last: int
) -> None:
    """Each further event of a life changes the row, and applied_at with it, and leaves other rows alone."""
    await writer.write([*LIFE[:last], event("started", run="another")])
    another = event("started", run="another").execution_id
    before = {version[1]: version for version in await versions(connection)}
    assert (await writer.write([LIFE[last]])).rows_changed == 1
    after = {version[1]: version for version in await versions(connection)}
    changed = {id_ for id_ in before if before[id_] != after[id_]}
    assert changed == {str(LIFE[0].execution_id)}
    assert after[str(another)] == before[str(another)]


EVERYTHING = fold([*map(full, Verb), event("failed", 1, namespace="billing")])
CATALOGUE = Catalogue.of(
    [full(Verb.STARTED), event("started", namespace="billing", workflow_id="other", user_id="other")]
)


def other_value(value: object) -> object:
    """Another value of the same kind."""
    match value:
        case JsonText():
            return JsonText('{"message": "other"}')
        case datetime() | None:
            return at(77)
        case int():
            return 77
        case _:
            return "other"


def replaced(register: Register, order: bytes) -> State:
    """The state that has everything, with another cell in one register."""
    values = tuple(map(other_value, EVERYTHING.registers[register.name].values))
    if register.name == "status":
        values = ("paused", 7, None, "other", "other")
    return replace(EVERYTHING, registers={**EVERYTHING.registers, register.name: Cell(order, values)})


@pytest.mark.parametrize("register", REGISTERS, ids=lambda register: register.name)
async def test_each_register_is_merged_by_its_order_alone(
    connection: Connection, writer: Writer, register: Register
) -> None:
    """A greater order in one register replaces its values and nothing else; an equal or smaller one writes nothing."""
    order = EVERYTHING.registers[register.name].order

    async def merged(state: State) -> tuple[int, dict[str, object]]:
        move = {writer.partition: writer.move()}
        applied = await writer.store.apply(Batch("g", move, [state], CATALOGUE))
        writer.offset += 1
        record = await connection.fetchrow("SELECT * FROM workflow_executions")
        assert record is not None
        return applied.rows_changed, dict(record)

    changed, before = await merged(EVERYTHING)
    assert changed == 1
    assert await merged(replaced(register, order[:-1])) == (0, before)
    assert await merged(replaced(register, order)) == (0, before)
    greater = replaced(register, order + b"\x00")
    changed, after = await merged(greater)
    assert changed == 1
    assert after[f"{register.name}_order"] == order + b"\x00"
    held = {name: after.get(f"hidden_{name}") or after[name] for name in register.columns}
    assert held == dict(zip(register.columns, greater.registers[register.name].values, strict=True))
    assert {n for n in before if n.endswith("_order") and before[n] != after[n]} == {f"{register.name}_order"}
    others = [name for other in REGISTERS if other is not register for name in other.columns]
    kept = {name: before.get(f"hidden_{name}") or before[name] for name in others}
    assert {name: after.get(f"hidden_{name}") or after[name] for name in others} == kept


@pytest.mark.parametrize(
    "wider",
    [replace(EVERYTHING, created_at=at(0)), replace(EVERYTHING, updated_at=at(9))],
    ids=["created_at", "updated_at"],
)
async def test_each_bound_is_merged_by_its_value_alone(connection: Connection, writer: Writer, wider: State) -> None:
    """An earlier first or a later last event moves that bound alone; anything between writes nothing."""
    for state, changes in ((EVERYTHING, 1), (wider, 1), (EVERYTHING, 0)):
        move = {writer.partition: writer.move()}
        assert (await writer.store.apply(Batch("g", move, [state], CATALOGUE))).rows_changed == changes
        writer.offset += 1
    record = await connection.fetchrow("SELECT created_at, updated_at FROM workflow_executions")
    assert record is not None
    assert tuple(record) == (wider.created_at, wider.updated_at)


@pytest.mark.parametrize(
    ("payload", "others"),
    [
        (event("started", 1, input=LARGE), [event("heartbeat", 5, progress={"done": 1}), event("completed", 9)]),
        (
            event("completed", 3, output=LARGE),
            [event("heartbeat", 5), event("completed", 2), event("deleted", 9), event("started", 1, input=1)],
        ),
        (event("failed", 3, error={"message": "E", "stack_trace": str(LARGE)}), [event("deleted", 9), LIFE[0]]),
        (event("heartbeat", 3, labels={"k": str(LARGE)[:200_000]}), [event("heartbeat", 5), LIFE[1]]),
    ],
    ids=["input", "output", "error", "labels"],
)
async def test_a_large_payload_is_not_written_again(
    connection: Connection, writer: Writer, payload: Event, others: list[Event]
) -> None:
    """Events that do not touch a payload of 100 kB change the row around it and leave its pieces where they are."""
    await writer.write([payload])
    before = await chunks(connection)
    assert before
    for other in others:
        assert (await writer.write([other])).rows_changed == 1
    assert await chunks(connection) == before


async def test_a_replaced_payload_is_written(connection: Connection, writer: Writer) -> None:
    """The check above can fail: a payload that changes gets new pieces."""
    await writer.write([event("started", 1, input=LARGE)])
    before = {chunk for chunk, _, _ in await chunks(connection)}
    await writer.write([event("started", 0, input=OTHER_LARGE)])
    assert before.isdisjoint(chunk for chunk, _, _ in await chunks(connection))


async def test_a_hidden_output_comes_back_as_it_was(connection: Connection, writer: Writer) -> None:
    """An output hidden by an operator's failure is shown again, byte for byte, after the operator's completion."""
    odd = {"texts": list(NASTY_TEXTS), "n": 2**63, "large": LARGE}
    completed = event("completed", 3, output=odd)
    failed = event("failed", 5, authority="operator", attempt=1, completed_at=at(3), error={"message": "no"})
    undone = event("completed", 7, authority="operator", attempt=1, completed_at=at(3))
    sql = "SELECT output::text AS output, hidden_output::text AS hidden, status FROM workflow_executions"
    seen = []
    for one in (completed, failed, undone):
        await writer.write([one])
        seen.append(await connection.fetchrow(sql))
    first, hidden, last = ((r["output"], r["hidden"], r["status"]) for r in seen if r is not None)
    assert first[1:] == (None, "completed")
    assert hidden == (None, first[0], "failed")
    assert last == first


async def test_a_late_output_of_another_verdict_is_hidden_at_once(connection: Connection, writer: Writer) -> None:
    """An output that arrives after a stronger verdict is kept and not shown, also when both come in one batch."""
    for run, batches in {
        "apart": [
            [event("failed", 5, run="apart", authority="server")],
            [event("completed", 3, run="apart", output=1)],
        ],
        "together": [
            [event("failed", 5, run="together", authority="server"), event("completed", 3, run="together", output=1)]
        ],
    }.items():
        for batch in batches:
            await writer.write(batch)
        record = await connection.fetchrow(
            "SELECT output, hidden_output, status FROM workflow_executions WHERE temporal_run_id = $1", run
        )
        assert record is not None
        assert tuple(record) == (None, "1", "failed")


async def test_numbers_keep_their_digits(connection: Connection, writer: Writer) -> None:
    """Numbers that a float cannot hold stand in the table with every digit."""
    texts = ["18446744073709551616", "123456789012345678901234567890", "1.0", "-0.12345678901234567890123456789"]
    await writer.write([event("started", input=JsonText("[" + ", ".join(texts) + "]"))])
    assert await connection.fetchval("SELECT input::text FROM workflow_executions") == "[" + ", ".join(texts) + "]"


async def test_a_failed_batch_leaves_nothing(store: PostgresStore, writer: Writer, connection: Connection) -> None:
    """A batch whose last part is refused is undone as a whole, and its position stays."""
    letter = DeadLetter(writer.partition, 0, None, None, b"x", (), "not\x00json", "")
    with pytest.raises(RefusedError) as caught:
        await writer.write([event("started", user_id="ada")], dead_letters=[letter])
    assert caught.value.sqlstate == "22021"
    assert await versions(connection) == []
    assert (await store.read_claims("g"))[writer.partition].next_offset == 0
    await writer.write([event("started")])


async def test_a_cancelled_batch_leaves_nothing(connection: Connection, store: PostgresStore, writer: Writer) -> None:
    """A batch that is cancelled while it waits for a lock is undone, and the store goes on working."""
    await writer.write([event("started")])
    async with connection.transaction():
        await connection.execute("LOCK TABLE workflow_executions IN SHARE MODE")
        waiting = asyncio.create_task(writer.write([event("completed", 5)]))
        await until_somebody_waits(connection)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert (await store.read_claims("g"))[writer.partition].next_offset == 1
    await writer.write([event("failed", 5)])
    assert await connection.fetchval("SELECT status FROM workflow_executions") == "failed"


async def until_somebody_waits(connection: Connection) -> None:
    """Return once another session of this database waits for a lock."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not await connection.fetchval(sql):  # noqa: ASYNC110 - it is the server's state, not ours
            await asyncio.sleep(0.005)  # the server tells nobody when a session begins to wait


async def test_a_zombie_waits_and_is_fenced(connection: Connection, database_url: str, writer: Writer) -> None:
    """A claim waits for a running batch, sees its offset, and fences whatever the old holder sends after it."""
    rival = Writer(PostgresStore(database_url), "g", writer.partition)
    async with connection.transaction():
        await connection.execute("LOCK TABLE workflow_executions IN SHARE MODE")
        writing = asyncio.create_task(writer.write([event("started")]))
        await until_somebody_waits(connection)
        claiming = asyncio.create_task(rival.claim())
        await asyncio.sleep(0)
    await asyncio.gather(writing, claiming)
    assert rival.offset == 1
    with pytest.raises(FencedError):
        await writer.write([event("failed", 9)])
    await rival.store.close()


ROUNDS = 30


async def test_writers_of_the_same_executions_do_not_deadlock(database_url: str) -> None:
    """Two consumers that change the same executions, in any order, never wait for each other in a ring."""
    async with kept_in_postgres(database_url) as kept:
        writers = [Writer(store, "g", TopicPartition("t", n)) for n, store in enumerate((kept.store, kept.other))]
        histories = [list(changing(random.Random(n), n)) for n in range(2)]
        for writer in writers:
            await writer.claim()
        together = asyncio.Barrier(2)

        async def write(writer: Writer, batches: list[list[Event]]) -> None:
            for batch in batches:
                await together.wait()
                await writer.write(batch)

        await asyncio.gather(*map(write, writers, histories))
        everything = [e for batches in histories for batch in batches for e in batch]
        assert await kept.rows() == {state.run.id: row(state) for state in states_of(everything)}


def changing(chance: random.Random, writer: int) -> Iterator[list[Event]]:
    """Batches of ever earlier events, which change every row; workflows and users are the writer's own."""
    for number in range(ROUNDS, 0, -1):
        yield [
            event("heartbeat", number, run=f"run-{n}", workflow_id=f"w-{writer}", user_id=f"u-{writer}", input=number)
            for n in chance.sample(range(120), 100)
        ]


@pytest.mark.parametrize("kind", ["workflows", "users"])
async def test_writers_of_the_same_names_do_not_deadlock(database_url: str, kind: str) -> None:
    """Two consumers that name the same workflows or users, in any order, never wait for each other in a ring."""
    stores = [PostgresStore(database_url) for _ in range(2)]
    names = [str(n) for n in range(300)]
    together = asyncio.Barrier(2)

    async def work(n: int) -> None:
        chance = random.Random(n)
        for number in range(ROUNDS, 0, -1):
            catalogue = Catalogue()
            for name in chance.sample(names, len(names)):
                if kind == "users":
                    catalogue.add_user(name, at(number))
                else:
                    catalogue.add_workflow(("default", name), WorkflowEntry(at(number), b"", None))
            await together.wait()
            await stores[n].apply(Batch("g", {}, catalogue=catalogue))

    await asyncio.gather(*map(work, range(2)))
    for store in stores:
        await store.close()


async def test_moves_and_claims_do_not_deadlock(database_url: str) -> None:
    """Batches and claims over the same partitions, named in any order, never wait for each other in a ring."""
    partitions = [TopicPartition(topic, n) for topic in ("b", "A", "a", "B") for n in range(0, 12, 5)]
    stores = [PostgresStore(database_url) for _ in range(3)]

    async def work(store: PostgresStore, chance: random.Random) -> None:
        for _ in range(ROUNDS):
            some = chance.sample(partitions, 8)
            token = uuid4()
            claims = await store.claim("g", dict.fromkeys(some, LogRange(0, 0)), token, "tests")
            moves = {p: Move(token, claims[p].next_offset, claims[p].next_offset + 1) for p in chance.sample(some, 8)}
            try:
                await store.apply(Batch("g", moves, states_of([])))
            except FencedError:
                continue

    await asyncio.gather(*(work(store, random.Random(n)) for n, store in enumerate(stores)))
    for store in stores:
        await store.close()
