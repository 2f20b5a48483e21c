"""Trees, chains and frequent errors, and that loops and limits end them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from events import Event, execution_id
from events.position import Position
from store import ExecutionQueryError, ExecutionReader, Filter, neighbours
from store.neighbours import Family
from store.statements import statement
from tests.conformance.stores import Writer
from tests.lives import at, event

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[ExecutionReader]:
    """The reader under test."""
    async with ExecutionReader.connect(database_url) as connected:
        yield connected


def id_of(run: str) -> UUID:
    """The id of a run."""
    return execution_id("default", "invoice-42", run)


def child(run: str, parent: str, seconds: float = 0, **data: Any) -> Event:
    """The start of a run that another one started."""
    reference = {"temporal_workflow_id": "invoice-42", "temporal_run_id": parent}
    return event("started", seconds, run=run, parent=reference, **data)


def shown(family: Family | None) -> list[tuple[int, str]]:
    """The places and the runs of a family."""
    assert family is not None
    return [(each.depth, each.execution.temporal_run_id) for each in family.relatives]


async def test_a_tree_has_all_descendants(reader: ExecutionReader, writer: Writer) -> None:
    """A tree has each execution before its children, children by their start, without payloads."""
    await writer.write(
        [
            event("started", run="top", input=[1]),
            child("late", "top", 9),
            child("early", "top", 1, input=[2]),
            child("grandchild", "early", 5),
            child("hidden", "top", 2),
            event("deleted", 3, run="hidden"),
            child("elsewhere", "top", 2, namespace="other"),
            event("started", run="stranger"),
        ]
    )
    family = await reader.tree(id_of("top"))
    assert shown(family) == [(0, "top"), (1, "early"), (2, "grandchild"), (1, "late")]
    assert family is not None
    assert family.complete
    assert family.relatives[1].execution.input is None
    assert shown(await reader.tree(str(id_of("early")))) == [(0, "early"), (1, "grandchild")]
    assert (1, "hidden") in shown(await reader.tree(id_of("top"), include_deleted=True))
    assert await reader.tree(uuid4()) is None
    assert await reader.tree(id_of("top"), namespace="other") is None


async def test_a_tree_is_bounded(reader: ExecutionReader, writer: Writer) -> None:
    """A tree ends at its limits and says so, the nearest first; who is his own ancestor is listed once."""
    loop = [child("a", "c"), child("b", "a"), child("c", "b")]
    await writer.write([*loop, *(child(f"n{n}", "a", n) for n in range(5))])
    everything = await reader.tree(id_of("a"))
    assert everything is not None
    assert (len(everything.relatives), everything.complete) == (8, True)
    for limit, depth, size in ((3, 10, 3), (500, 1, 7), (500, 0, 1)):
        family = await reader.tree(id_of("a"), limit, depth)
        assert family is not None
        assert (len(family.relatives), family.complete) == (size, False)
    exact = await reader.tree(id_of("a"), limit=8, depth=2)
    assert exact == everything


async def test_a_chain_goes_both_ways(reader: ExecutionReader, writer: Writer) -> None:
    """A chain has all runs before and behind one, from the first to the last known."""
    links = [event("continued_as_new", n, run=f"run-{n}", next_run_id=f"run-{n + 1}") for n in range(5)]
    await writer.write([*links, event("started", run="other")])  # run-5 is not known
    family = await reader.chain(id_of("run-2"))
    assert shown(family) == [(-2, "run-0"), (-1, "run-1"), (0, "run-2"), (1, "run-3"), (2, "run-4")]
    assert family is not None
    assert family.complete
    assert shown(await reader.chain(id_of("other"))) == [(0, "other")]
    short = await reader.chain(id_of("run-2"), limit=1)
    assert short is not None
    assert (shown(short), short.complete) == ([(-1, "run-1"), (0, "run-2"), (1, "run-3")], False)
    exact = await reader.chain(id_of("run-2"), limit=2)
    assert exact == family
    await writer.write([event("deleted", 9, run="run-3")])
    assert shown(await reader.chain(id_of("run-2"))) == [(-2, "run-0"), (-1, "run-1"), (0, "run-2")]
    assert await reader.chain(uuid4()) is None


async def test_a_chain_that_is_a_loop_ends(reader: ExecutionReader, writer: Writer) -> None:
    """Runs that name each other as next are a chain that ends where it began."""
    await writer.write([event("failed", n, run=f"r{n}", next_run_id=f"r{(n + 1) % 3}") for n in range(3)])
    family = await reader.chain(id_of("r0"))
    assert [run for _, run in shown(family)][2:] == ["r0", "r1", "r2"]
    assert family is not None
    assert family.complete


async def test_errors_are_counted_by_kind(
    reader: ExecutionReader, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors of one type whose messages differ in numbers and ids alone count together, in the time asked for."""
    ids = uuid4(), uuid4()
    await writer.write(
        [
            event("failed", 1, run="a", error={"message": f"order {ids[0]} was 12 cents\nat line 5", "type": "E"}),
            event("failed", 2, run="b", error={"message": f"order {ids[1]} was 7 cents", "type": "E"}, workflow_id="w"),
            event("timed_out", 3, run="c", error={"message": "order # was # cents"}),
            event("failed", 900, run="late", error={"message": "late", "type": "E"}),
            event("retrying", 4, run="d", error={"message": "will be tried again", "type": "E"}),
            event("failed", 5, run="gone", error={"message": "order 1 was 1 cents", "type": "E"}),
            event("deleted", 6, run="gone"),
        ]
    )
    wanted = Filter(completed_since=at(0), completed_until=at(60))
    found = await reader.top_errors(wanted)
    assert (found.considered, found.complete, len(found.errors)) == (3, True, 2)
    first = found.errors[0]
    assert (first.type, first.message, first.executions, first.workflows) == ("E", "order # was # cents", 2, 2)
    assert (first.first_at, first.last_at, first.latest_id) == (at(1), at(2), id_of("b"))
    assert (found.errors[1].type, found.errors[1].executions) == (None, 1)
    assert len((await reader.top_errors(wanted, 1)).errors) == 1
    assert (await reader.top_errors(Filter(error_type="E", workflow_id="w"))).considered == 1
    assert (await reader.top_errors()).errors == ()  # of the last day
    monkeypatch.setattr(neighbours, "ERRORS_MAX", 2)
    latest = await reader.top_errors(wanted)
    assert (latest.considered, latest.complete, latest.errors[0].type) == (2, False, None)


@pytest.mark.parametrize(
    "ask",
    [
        lambda r, **more: r.tree(uuid4(), **more),
        lambda r, **more: r.chain(uuid4(), **more),
        lambda r, **more: r.top_errors(**more),
    ],
)
async def test_neighbours_wait_for_ones_own_write_and_check_what_they_are_asked(
    reader: ExecutionReader, writer: Writer, ask: Any
) -> None:
    """Every one of these reads waits for a position, works within a snapshot, and refuses a limit out of bounds."""
    await writer.write([event("started")])
    await ask(reader, at_least=Position("executions", 0, 0))
    with pytest.raises(ExecutionQueryError, match="executions/0@1 was not applied within 0 s"):
        await ask(reader, at_least=Position("executions", 0, 1), timeout=0)
    with pytest.raises(ExecutionQueryError, match=r"Failed to .*: limit must be a whole number from 1 to 500, not 0"):
        await ask(reader, limit=0)
    async with reader.snapshot() as moment:
        await ask(moment)
    with pytest.raises(ExecutionQueryError, match="id must be a UUID"):
        await reader.tree("x")
    with pytest.raises(ExecutionQueryError, match="depth must be a whole number from 0 to 50"):
        await reader.tree(uuid4(), depth=51)


async def test_the_stuck_are_found(reader: ExecutionReader, writer: Writer) -> None:
    """Open executions without an event for long are stuck; one that gives signs of life, or has ended, is not."""
    now = (await reader.freshness()).partitions[0].moved_at
    seconds = (now - at(0)).total_seconds()
    await writer.write(
        [
            event("started", run="stuck"),
            event("started", run="lives"),
            event("heartbeat", seconds - 60, run="lives"),
            event("completed", 5, run="ended"),
        ]
    )
    found = await reader.find(Filter(silent_for=timedelta(hours=1)), order_direction="asc")
    assert [each.temporal_run_id for each in found] == ["stuck"]


async def test_all_conditions_together_are_a_statement(connection: Connection) -> None:
    """The list of conditions is sound SQL as it stands, each value of one type."""
    assert len((await connection.prepare(statement("filter_executions"))).get_parameters()) == 32
