"""One's own write, how fresh an answer is, and answers of one moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from events import execution_id
from events.position import Position, TopicPartition
from store import ExecutionQueryError, ExecutionReader, Filter, PostgresStore
from tests.conformance.stores import Writer
from tests.lives import event

ID = execution_id("default", "invoice-42", "run-1")


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[ExecutionReader]:
    """The reader under test."""
    async with ExecutionReader.connect(database_url) as connected:
        yield connected


async def test_an_answer_says_how_fresh_it_is(reader: ExecutionReader, writer: Writer, store: PostgresStore) -> None:
    """A page names every partition with its position, by the group that is furthest, and how old that is."""
    assert [p.next_offset for p in (await reader.list(None)).freshness.partitions] == [0]
    other = Writer(store, "h", TopicPartition("executions", 0))
    third = Writer(store, "g", TopicPartition("executions", 3))
    for each in (other, third):
        await each.claim()
    await writer.write([event("started"), event("completed", 5)])
    await other.write([event("started")])
    fresh = (await reader.find(Filter())).freshness
    assert [(p.topic, p.partition, p.next_offset, p.halted) for p in fresh.partitions] == [
        ("executions", 0, 2, False),
        ("executions", 3, 0, False),
    ]
    first = fresh.partitions[0]
    assert 0 <= first.age_seconds < 60
    assert abs((datetime.now(UTC) - first.moved_at).total_seconds()) < 60
    assert fresh.covers(Position("executions", 0, 1))
    assert not fresh.covers(Position("executions", 0, 2))
    assert not fresh.covers(Position("executions", 3, 0))
    assert not fresh.covers(Position("elsewhere", 0, 0))
    assert [p.next_offset for p in (await reader.freshness()).partitions] == [2, 0]


async def test_a_page_has_what_it_says_it_has(reader: ExecutionReader, writer: Writer) -> None:
    """While a consumer writes, a page never lacks a record that its freshness covers."""
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(_write_runs(writer, 30))
        while not writing.done():
            page = await reader.list("invoice", 100)
            applied = sum(each.next_offset for each in page.freshness.partitions)
            assert len(page) >= applied


async def _write_runs(writer: Writer, count: int) -> None:
    for number in range(count):
        await writer.write([event("started", number, run=f"run-{number}")])


async def test_a_snapshot_is_one_moment(reader: ExecutionReader, writer: Writer) -> None:
    """All answers of a snapshot fit together and carry one freshness, whatever is written meanwhile."""
    await writer.write([event("started")])
    async with reader.snapshot(at_least=Position("executions", 0, 0)) as moment:
        await writer.write([event("completed", 5)])
        found, page, fresh = await asyncio.gather(moment.get_by_id(ID), moment.list("invoice"), moment.freshness())
        assert found is not None
        assert ([found.status], fresh) == ([e.status for e in page], page.freshness)
        assert (found.status, fresh.partitions[0].next_offset) == ("running", 1)
        with pytest.raises(ExecutionQueryError, match="executions/0@1 was not applied within 0 s"):
            await moment.get_by_id(ID, at_least=Position("executions", 0, 1), timeout=60)
    found = await reader.get_by_id(ID)
    assert found is not None
    assert found.status == "completed"


async def test_a_snapshot_waits_for_ones_own_write_before_it_begins(reader: ExecutionReader, writer: Writer) -> None:
    """A snapshot that cannot have one's own write in time is an error of the query."""
    await writer.write([event("started")])
    with pytest.raises(ExecutionQueryError, match="Failed to take a snapshot: executions/0@7 was not applied"):
        async with reader.snapshot(at_least=Position("executions", 0, 7), timeout=0):
            pytest.fail("it began")


async def test_waiting_for_a_status(reader: ExecutionReader, writer: Writer) -> None:
    """Waiting ends when the execution has one of the statuses, also when it comes into being only then."""
    waiting = asyncio.create_task(reader.wait_for(ID, ["paused", "running"], timeout=30))
    await asyncio.wait({waiting}, timeout=0.05)  # one that does not wait has answered by then
    assert not waiting.done()
    await writer.write([event("started")])
    assert (await waiting).status == "running"
    waiting = asyncio.create_task(reader.wait_for(str(ID), timeout=30))
    await asyncio.wait({waiting}, timeout=0.05)
    assert not waiting.done()
    await writer.write([event("failed", 5)])
    assert (await waiting).status == "failed"


async def test_waiting_ends_with_any_end(reader: ExecutionReader, writer: Writer) -> None:
    """What ended otherwise than hoped for is not waited for any longer."""
    await writer.write([event("failed", 5)])
    assert (await reader.wait_for(ID, "completed", timeout=30)).status == "failed"


async def test_waiting_in_vain_says_what_there_is_instead(reader: ExecutionReader, writer: Writer) -> None:
    """A status that does not come in time is an error that says which one there is."""
    with pytest.raises(ExecutionQueryError, match=f"Failed to wait for execution {ID}: after 0 s it does not exist"):
        await reader.wait_for(ID, "running", timeout=0)
    await writer.write([event("started")])
    with pytest.raises(ExecutionQueryError, match=r"after 0\.05 s it is running"):
        await reader.wait_for(ID, "completed", timeout=0.05)
    with pytest.raises(ExecutionQueryError, match="executions/0@9 was not applied"):
        await reader.wait_for(ID, at_least=Position("executions", 0, 9), timeout=0)
    with pytest.raises(ExecutionQueryError, match="id must be a UUID"):
        await reader.wait_for("x", timeout=0)
