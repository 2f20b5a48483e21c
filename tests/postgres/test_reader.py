"""Reading over a real table: get, list, stats, and what is refused by name."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import product
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest

from events import Event, Status, execution_id, fold, row
from events.position import Position
from store import ExecutionQueryError, ExecutionReader, Filter, PostgresStore
from store.errors import MisconfiguredError, UnavailableError
from store.listing import LIMIT_MAX, OFFSET_MAX, OrderBy
from tests.conformance.stores import Writer, row_of
from tests.lives import at, event
from tests.strategies import NASTY_TEXTS

Query = Callable[[ExecutionReader], Awaitable[object]]


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[ExecutionReader]:
    """The reader under test."""
    async with ExecutionReader.connect(database_url) as connected:
        yield connected


def runs(count: int, **data: Any) -> list[Event]:
    """Executions that started one second after the other."""
    return [event("started", n, run=f"run-{n}", **data) for n in range(count)]


def names(found: list[Any]) -> list[str]:
    """The runs of a page."""
    return [execution.temporal_run_id for execution in found]


async def test_get_returns_the_execution_with_its_workflow(reader: ExecutionReader, writer: Writer) -> None:
    """An execution comes whole, as the fold gives it, with its workflow and the time of its last change."""
    history = [
        event("started", 1, user_id="ada", workflow_name="Invoice", input={"a": 1.5}, labels={"k": "v"}),
        event("completed", 3, output=[1], progress={"done": 1}),
    ]
    await writer.write(history)
    found = await reader.get("invoice-42")
    assert found is not None
    assert row_of(found) == row(fold(history))
    assert (found.workflow.namespace, found.workflow.id, found.workflow.name) == ("default", "invoice", "Invoice")
    assert found.workflow.created_at == at(1)
    assert found.applied_at.tzinfo is not None
    assert type(found.id) is UUID
    assert await reader.get("invoice-42", "run-1") == found
    assert await reader.get_by_id(found.id) == found
    assert await reader.get_by_id(str(found.id)) == found


async def test_get_of_nothing_is_none(reader: ExecutionReader, writer: Writer) -> None:
    """What does not exist is None: an id, a run, a uuid, a namespace."""
    await writer.write(runs(1))
    assert await reader.get("unheard-of") is None
    assert await reader.get("invoice-42", "run-9") is None
    assert await reader.get("invoice-42", namespace="other") is None
    assert await reader.get_by_id(uuid4()) is None
    assert await reader.get_by_id(execution_id("default", "invoice-42", "run-0"), namespace="other") is None


async def test_get_means_the_latest_run(reader: ExecutionReader, writer: Writer) -> None:
    """Without a run, get answers with the one that started last, then the one first heard of last, then by id."""
    await writer.write([event("started", 5, run="b"), event("started", 9, run="a"), event("started", 7, run="c")])
    assert names([await reader.get("invoice-42")]) == ["a"]
    await writer.write([event("scheduled", 8, run="heard-later", started_at=at(9))])
    assert names([await reader.get("invoice-42")]) == ["a"]
    await writer.write([event("started", 9.5, run="heard-last", started_at=at(9))])
    assert names([await reader.get("invoice-42")]) == ["heard-last"]
    ties = [event("started", 20, run=f"tie-{n}") for n in range(5)]
    await writer.write(ties)
    last = max(ties, key=lambda e: e.execution_id)
    assert names([await reader.get("invoice-42")]) == [last.data.temporal_run_id]


async def test_ids_are_parameters(reader: ExecutionReader, writer: Writer) -> None:
    """Ids with quotes, line ends, emoji and SQL find their execution, and nothing but it."""
    for odd in (*NASTY_TEXTS, "x" * 512, "%", "_", "{}", "NULL"):
        fields: dict[str, Any] = {"workflow_id": odd, "temporal_workflow_id": odd, "user_id": odd, "namespace": odd}
        made = event("started", run=odd, **fields)
        await writer.write([made, *runs(2)])
        for found in (
            await reader.get(odd, namespace=odd),
            await reader.get(odd, odd, namespace=odd),
            await reader.get_by_id(made.execution_id, namespace=odd),
            *await reader.list(odd, namespace=odd),
            *await reader.list_by_user(odd, namespace=odd),
        ):
            assert found is not None, odd
            assert found.id == made.execution_id
        assert (await reader.stats(odd, namespace=odd)).total == 1


async def test_namespaces_are_apart(reader: ExecutionReader, writer: Writer) -> None:
    """No read shows an execution of another namespace."""
    await writer.write([*runs(2, user_id="ada"), *runs(1, user_id="ada", namespace="other")])
    assert len(await reader.list(None)) == len(await reader.list("invoice")) == 2
    assert len(await reader.list_by_user("ada", namespace="other")) == 1
    assert (await reader.stats("invoice", namespace="other")).total == 1
    assert await reader.any_exists(namespace="other")
    assert not await reader.any_exists(namespace="third")


async def test_deleted_executions_are_hidden_unless_asked_for(reader: ExecutionReader, writer: Writer) -> None:
    """A soft-deleted execution is nowhere, unless deleted ones are asked for, and back once it is restored."""
    [one] = runs(1, user_id="ada")
    gone = event("deleted", 5, run="run-0")
    asked: list[Callable[[bool], Awaitable[object]]] = [
        lambda deleted: reader.get("invoice-42", include_deleted=deleted),
        lambda deleted: reader.get_by_id(one.execution_id, include_deleted=deleted),
        lambda deleted: reader.list("invoice", include_deleted=deleted),
        lambda deleted: reader.list_by_user("ada", include_deleted=deleted),
    ]
    await writer.write([one, gone])
    for ask in asked:
        assert not await ask(False)
        assert await ask(True)
    assert (await reader.stats("invoice")).total == 0
    assert (await reader.stats("invoice", include_deleted=True)).total == 1
    assert await reader.any_exists()
    await writer.write([event("restored", 6, run="run-0")])
    for ask in asked:
        assert await ask(False)


async def test_a_deleted_run_is_not_the_latest(reader: ExecutionReader, writer: Writer) -> None:
    """Get answers with the latest run that is not hidden."""
    await writer.write([*runs(2), event("deleted", 9, run="run-1")])
    assert names([await reader.get("invoice-42")]) == ["run-0"]
    assert names([await reader.get("invoice-42", include_deleted=True)]) == ["run-1"]


async def test_lists_come_in_pages(reader: ExecutionReader, writer: Writer) -> None:
    """A list is newest first and 50 long unless told otherwise; pages follow each other without a gap."""
    await writer.write(runs(60))
    everything = [f"run-{n}" for n in reversed(range(60))]
    assert names(await reader.list("invoice")) == everything[:50]
    assert names(await reader.list("invoice", 50, 50)) == everything[50:]
    assert names(await reader.list("invoice", limit=1, offset=59)) == ["run-0"]
    assert await reader.list("invoice", offset=60) == []
    assert names(await reader.list(None, LIMIT_MAX)) == everything
    assert await reader.list("unheard-of") == []
    assert await reader.list("invoice", offset=OFFSET_MAX) == []


async def test_lists_of_users(reader: ExecutionReader, writer: Writer) -> None:
    """A user's list has what the user started, of any workflow."""
    await writer.write([*runs(2, user_id="ada"), event("started", 5, run="x", workflow_id="billing", user_id="ada")])
    await writer.write([event("started", 6, run="y", user_id="bob")])
    assert names(await reader.list_by_user("ada")) == ["x", "run-1", "run-0"]
    assert names(await reader.list_by_user("bob", 1, 0, "running", "completed_at", "asc")) == []
    assert names(await reader.list_by_user("bob", 1, 0, "running", "started_at", "asc")) == ["y"]
    assert await reader.list_by_user("nobody") == []


async def test_lists_may_be_narrowed_to_a_status(reader: ExecutionReader, writer: Writer) -> None:
    """A status narrows a list, as a word or as a member of the enumeration."""
    await writer.write([*runs(3), event("failed", 9, run="run-1")])
    assert names(await reader.list("invoice", status="failed")) == ["run-1"]
    assert names(await reader.list("invoice", status=Status.RUNNING)) == ["run-2", "run-0"]
    assert await reader.list("invoice", status="paused") == []


ORDERED = [
    event("completed", 5, run="a", started_at=at(1), duration_ms=3),
    event("started", 2, run="b"),
    event("failed", 4, run="c", started_at=at(3), duration_ms=7),
    event("started", 2, run="d", started_at=at(3)),
]


async def test_lists_are_ordered(reader: ExecutionReader, writer: Writer) -> None:
    """Each order on the list works in both directions, the id deciding between equals; by the end, what has ended."""
    await writer.write(ORDERED)
    rows = [row(fold([one])) for one in ORDERED]
    for column, direction in product(get_args(OrderBy), ("asc", "desc", "ASC", "Desc")):
        present = [r for r in rows if getattr(r, column) is not None]
        expected = sorted(present, key=lambda r: (getattr(r, column), r.id), reverse=direction.lower() == "desc")
        found = await reader.list("invoice", order_by=column, order_direction=direction)
        assert [row_of(e) for e in found] == expected, (column, direction)


async def test_lists_leave_payloads_out(reader: ExecutionReader, writer: Writer) -> None:
    """Input, output and the error's detail are left out of lists unless asked for; the error's message stays."""
    await writer.write(
        [
            event("failed", 5, run="f", input={"a": 1}, error={"message": "E", "code": "C"}, user_id="ada"),
            event("completed", 4, run="c", output=[1], user_id="ada"),
        ]
    )
    for lister, key in ((reader.list, "invoice"), (reader.list_by_user, "ada")):
        failed, completed = await lister(key)
        assert (failed.input, failed.error, failed.error_message, completed.output) == (None, None, "E", None)
        failed, completed = await lister(key, include_payloads=True)
        assert (failed.input, failed.error) == ({"a": 1}, {"message": "E", "code": "C"})
        assert completed.output == [1]


async def test_stats_count_and_measure(reader: ExecutionReader, writer: Writer) -> None:
    """Statistics count by status, measure what was timed, and rate what ended; hidden executions count nowhere."""
    durations = {"completed": [100, 200, 5_000_000_000], "failed": [0], "cancelled": [], "continued_as_new": [50]}
    history = [
        event(status, 9, run=f"{status}-{n}", duration_ms=duration)
        for status, some in durations.items()
        for n, duration in enumerate(some)
    ]
    history += [event("cancelled", 9, run="untimed"), event("started", run="runs")]
    history += [event("completed", 9, run="gone", duration_ms=1), event("deleted", 10, run="gone")]
    await writer.write(history)
    found = await reader.stats("invoice")
    assert found.total == 7
    assert found.by_status == Counter(completed=3, failed=1, cancelled=1, continued_as_new=1, running=1)
    assert found.by_status["paused"] == 0
    assert found.avg_duration_ms == pytest.approx((300 + 5_000_000_000 + 50) / 5)
    assert (found.min_duration_ms, found.max_duration_ms) == (0, 5_000_000_000)
    assert found.success_rate == pytest.approx(60.0)


async def test_stats_of_nothing_have_no_rate(reader: ExecutionReader, writer: Writer) -> None:
    """Where nothing ended there is no rate, where nothing was timed no duration, and nothing counts zero."""
    empty = await reader.stats("invoice")
    assert (empty.total, empty.by_status["completed"], empty.success_rate) == (0, 0, None)
    assert (empty.avg_duration_ms, empty.min_duration_ms, empty.max_duration_ms) == (None, None, None)
    await writer.write([event("started"), event("continued_as_new", 5, run="run-2", duration_ms=7)])
    assert (await reader.stats("invoice")).success_rate is None
    await writer.write([event("failed", 5, run="run-3")])
    assert (await reader.stats("invoice")).success_rate == 0.0


async def test_stats_of_huge_durations_do_not_overflow(reader: ExecutionReader, writer: Writer) -> None:
    """Durations whose sum is beyond a bigint are averaged all the same."""
    longest = 2**53 - 1
    await writer.write([event("completed", 9, run=f"r-{n}", duration_ms=longest) for n in range(1_100)])
    found = await reader.stats("invoice")
    assert (found.avg_duration_ms, found.max_duration_ms) == (float(longest), longest)


async def test_whether_anything_exists(reader: ExecutionReader, writer: Writer) -> None:
    """A namespace without executions says so."""
    assert not await reader.any_exists()
    await writer.write(runs(1))
    assert await reader.any_exists()


WORDS = "list executions"
HOSTILE_ORDERS = [
    "status",  # no index serves these
    "duration_ms",
    "created_at",
    "updated_at",
    "started_at; DROP TABLE users",
    "(select pg_sleep(9))",
    "id",
    "started_at DESC",
    "STARTED_AT",
    "started\u200b_at",
    "\u0455tarted_at",
    "e.started_at",
    "",
    "input",
    "/* order */",
]
REFUSED: list[tuple[Query, str]] = [
    *[
        (
            lambda r, o=order: r.list("w", order_by=o),
            f"Failed to {WORDS}: cannot order by {order!r}; order_by is one of",
        )
        for order in HOSTILE_ORDERS
    ],
    *[
        (
            lambda r, d=direction: r.list_by_user("u", order_direction=d),
            f"Failed to {WORDS}: cannot order {direction!r}; order_direction is asc or desc",
        )
        for direction in (None, "", "up", "desc; DROP TABLE users", "desc NULLS FIRST")
    ],
    *[
        (
            lambda r, n=limit: r.list("w", n),
            f"Failed to {WORDS}: limit must be a whole number from 1 to 500, not {limit!r}",
        )
        for limit in (0, -1, LIMIT_MAX + 1, 10**30, "1e3", 1.5, True, None)
    ],
    *[
        (
            lambda r, n=offset: r.list("w", 1, n),
            f"Failed to {WORDS}: offset must be a whole number from 0 to 1000000, not {offset!r}",
        )
        for offset in (-1, OFFSET_MAX + 1, 10**12)
    ],
    (
        lambda r: r.list("w", status="' OR 1=1"),
        f'Failed to {WORDS}: unknown status "\' OR 1=1"; one of pending, running',
    ),
    (lambda r: r.list_by_user("u", status="Failed"), f"Failed to {WORDS}: unknown status 'Failed'"),
    (lambda r: r.list("w\x00"), f"Failed to {WORDS}: workflow_id must not contain NUL"),
    (lambda r: r.list_by_user("\x00"), f"Failed to {WORDS}: user_id must not contain NUL"),
    (lambda r: r.list("w", namespace="\ud800"), f"Failed to {WORDS}: namespace must not contain half of a surrogate"),
    (lambda r: r.get("a\x00"), "Failed to get execution: temporal_workflow_id must not contain NUL"),
    (lambda r: r.get("a", "\x00"), "Failed to get execution: temporal_run_id must not contain NUL"),
    (lambda r: r.get_by_id("nonsense"), "Failed to get execution: id must be a UUID"),
    (lambda r: r.get_by_id("1" * 33), "Failed to get execution: id must be a UUID"),
    (lambda r: r.get_by_id(uuid4(), namespace="\x00"), "Failed to get execution: namespace must not contain NUL"),
    (lambda r: r.stats("\x00"), "Failed to get execution stats: workflow_id must not contain NUL"),
    (lambda r: r.any_exists(namespace="\x00"), "Failed to look for executions: namespace must not contain NUL"),
]


async def test_what_cannot_be_asked_is_refused_by_name(reader: ExecutionReader) -> None:
    """A hostile or senseless question is refused before it reaches the server, naming what is wrong with it."""
    for query, message in REFUSED:
        with pytest.raises(ExecutionQueryError) as caught:
            await query(reader)
        assert str(caught.value)[: len(message)] == message


async def test_the_readers_own_connection_is_read_only(reader: ExecutionReader) -> None:
    """No reader's session can write, whatever a statement tries."""
    async with reader._pool.lend() as connection:
        assert await connection.fetchval("SHOW transaction_read_only") == "on"


async def test_a_read_waits_for_its_own_write(reader: ExecutionReader, writer: Writer) -> None:
    """A read with the position of one's own write returns only once the table has applied it."""
    [first, second] = runs(2)
    await writer.write([first])
    position = Position(*writer.partition, 1)
    waiting = asyncio.create_task(reader.get("invoice-42", "run-1", at_least=position))
    await asyncio.wait({waiting}, timeout=0.05)  # a reader that does not wait has answered by then
    assert not waiting.done()
    await writer.write([second])
    found = await waiting
    assert found is not None
    assert found.id == second.execution_id


@pytest.mark.parametrize(
    ("query", "what"),
    [
        (lambda r, p: r.get("w", at_least=p, timeout=0), "get execution"),
        (lambda r, p: r.get_by_id(uuid4(), at_least=p, timeout=0), "get execution"),
        (lambda r, p: r.list("w", at_least=p, timeout=0), "list executions"),
        (lambda r, p: r.list_by_user("u", at_least=p, timeout=0), "list executions"),
        (lambda r, p: r.stats("w", at_least=p, timeout=0.05), "get execution stats"),
        (lambda r, p: r.find(Filter(), at_least=p, timeout=0), "list executions"),
        (lambda r, p: r.any_exists(at_least=p, timeout=0), "look for executions"),
        (lambda r, p: r.freshness(at_least=p, timeout=0), "read the freshness"),
    ],
)
async def test_waiting_ends_with_a_clear_error(
    reader: ExecutionReader, writer: Writer, query: Callable[[ExecutionReader, Position], Awaitable[object]], what: str
) -> None:
    """A write that is not applied in time ends the read, which says what it waited for and how far the table is."""
    await writer.write(runs(2))
    with pytest.raises(ExecutionQueryError, match=rf"Failed to {what}: executions/0@2 was not applied within .* 2\)"):
        await query(reader, Position(*writer.partition, 2))
    with pytest.raises(ExecutionQueryError, match=r"unknown/3@0 was not applied within .* \(applied up to None\)"):
        await query(reader, Position("unknown", 3, 0))
    await query(reader, Position(*writer.partition, 1))


async def test_any_group_that_applied_it_will_do(reader: ExecutionReader, writer: Writer, store: PostgresStore) -> None:
    """A write counts as applied when one group has applied it: the groups share the table."""
    other = Writer(store, "h", writer.partition)
    await other.claim()
    await other.write(runs(2))
    assert await reader.get("invoice-42", at_least=Position(*writer.partition, 1), timeout=0)


async def test_a_server_that_ends_a_connection_is_an_error_of_the_query(reader: ExecutionReader) -> None:
    """A FATAL message that arrives before the end of the connection is told like any other failure."""
    assert await reader.get_by_id(uuid4()) is None
    pool: Any = reader._pool._pool
    connection = next(holder._con for holder in pool._holders if holder._con is not None)
    fields = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"
    connection._protocol.data_received(b"E" + (len(fields) + 4).to_bytes(4) + fields)
    with pytest.raises(ExecutionQueryError):
        await reader.get_by_id(uuid4())


async def test_a_reader_must_be_entered(database_url: str) -> None:
    """A reader that was not entered says how it is used, and leaving it is harmless."""
    reader = ExecutionReader.connect(database_url)
    with pytest.raises(ExecutionQueryError, match="Failed to get execution: the reader is not connected; use it as"):
        await reader.get("x")
    await reader.__aexit__(None, None, None)


async def test_a_reader_of_nothing_says_so(empty_database_url: str, unused_tcp_port: int) -> None:
    """Without a server entering fails as an outage, without a database as a mistake, without tables each query."""
    with pytest.raises(UnavailableError):
        async with ExecutionReader.connect(f"postgresql://127.0.0.1:{unused_tcp_port}/d"):
            pass
    with pytest.raises(MisconfiguredError, match="does not exist"):
        async with ExecutionReader.connect(empty_database_url + "x"):
            pass
    async with ExecutionReader.connect(empty_database_url) as reader:
        with pytest.raises(ExecutionQueryError, match=r'Failed to list executions: .*"positions" does not exist'):
            await reader.list("w")
