"""Reading what was set aside, and where syncs have got to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from events.position import TopicPartition
from store.batch import DeadLetter
from store.dead_letters import DeadLetterFilter, DeadLetterReader
from store.errors import MisconfiguredError, UnavailableError
from store.sync_places import SyncPlaces
from tests.conformance.stores import Writer
from tests.lives import at

HEADERS = (("k", b"\x00\xff"), ("k", None), ("n\x00l", b""))


def letter(offset: int, reason: str = "not_json", topic: str = "executions") -> DeadLetter:
    """A dead letter with bytes that no text can hold."""
    partition = TopicPartition(topic, 3)
    return DeadLetter(partition, offset, -1, b"\xff", b"\x00\xff", HEADERS, reason, "data.input", "why\nnot")


@pytest.fixture
async def dead_letters(database_url: str) -> AsyncIterator[DeadLetterReader]:
    """The reader under test."""
    async with DeadLetterReader(database_url) as reader:
        yield reader


async def test_the_newest_dead_letters_come_first(dead_letters: DeadLetterReader, writer: Writer) -> None:
    """The list has the newest first, as many as were asked for, without the bytes but with their number."""
    assert await dead_letters.list() == []
    await writer.write(dead_letters=[letter(n) for n in range(5)])
    found = await dead_letters.list(limit=2)
    assert [one.offset for one in found] == [4, 3]
    assert (found[0].topic, found[0].partition, found[0].reason, found[0].field) == (
        "executions",
        3,
        "not_json",
        "data.input",
    )
    assert (found[0].detail, found[0].value_bytes) == ("why\nnot", 2)
    assert found[0].first_seen_at.tzinfo is not None
    assert len(await dead_letters.list()) == 5


async def test_dead_letters_are_found_by_reason_and_topic(dead_letters: DeadLetterReader, writer: Writer) -> None:
    """Reason and topic narrow the list, alone and together."""
    await writer.write(dead_letters=[letter(1), letter(2, "empty"), letter(3, "empty", "other")])
    assert [one.offset for one in await dead_letters.list(DeadLetterFilter(reason="empty"))] == [3, 2]
    assert [one.offset for one in await dead_letters.list(DeadLetterFilter(topic="executions"))] == [2, 1]
    assert [one.offset for one in await dead_letters.list(DeadLetterFilter(reason="empty", topic="executions"))] == [2]
    assert await dead_letters.list(DeadLetterFilter(reason="' OR 1=1")) == []


async def test_a_dead_letter_is_shown_whole(dead_letters: DeadLetterReader, writer: Writer) -> None:
    """One dead letter comes with every byte of its record, headers with repeated and odd names included."""
    empty = DeadLetter(TopicPartition("executions", 0), 9, None, None, None, (), "refused_22021", "")
    await writer.write(dead_letters=[letter(1), empty])
    of_empty, of_one = await dead_letters.list()
    shown = await dead_letters.get(of_one.id)
    assert shown is not None
    assert (shown.key, shown.value, shown.headers) == (b"\xff", b"\x00\xff", HEADERS)
    assert (shown.consumer_group, shown.record_timestamp_ms, shown.offset) == ("g", -1, 1)
    shown = await dead_letters.get(of_empty.id)
    assert shown is not None
    assert (shown.key, shown.value, shown.headers, shown.value_bytes) == (None, None, (), None)
    assert await dead_letters.get(10**9) is None


async def test_a_reader_without_tables_says_so(empty_database_url: str) -> None:
    """A database that was not migrated is a mistake."""
    async with DeadLetterReader(empty_database_url) as reader:
        with pytest.raises(MisconfiguredError, match='"dead_letters" does not exist'):
            await reader.list()


async def test_a_place_only_moves_forward(database_url: str) -> None:
    """A sync's place is unknown at first, moves forward, and never back; each source has its own."""
    places = SyncPlaces(database_url)
    assert await places.read("temporal/default") is None
    for to, expected in ((at(5), at(5)), (at(3), at(5)), (at(5), at(5)), (at(9), at(9))):
        await places.move("temporal/default", to)
        assert await places.read("temporal/default") == expected
    assert await places.read("it's another") is None


async def test_places_need_a_server_and_a_table(empty_database_url: str, unused_tcp_port: int) -> None:
    """Without a server places are an outage, without their table a mistake."""
    with pytest.raises(UnavailableError):
        await SyncPlaces(f"postgresql://127.0.0.1:{unused_tcp_port}/d").read("x")
    with pytest.raises(MisconfiguredError, match='"sync_places" does not exist'):
        await SyncPlaces(empty_database_url).move("x", datetime.now(UTC))
