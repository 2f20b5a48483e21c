"""Redriving dead letters into the table, and dropping their bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from consumer.redrive import NO_RECORDS, PAGE, REDRIVES_MAX, Redrive, Redriven
from events import Event, ExecutionRow, encode, fold, row
from events.position import TopicPartition
from store.batch import DeadLetter
from store.dead_letters import EVERY_OPEN, DeadLetterFilter, DeadLetterReader, DeadLetterStore
from store.errors import FencedError
from tests.conformance.stores import Writer
from tests.consuming import fetch, rows
from tests.lives import event
from tests.unit.records import record

PARTITION = TopicPartition("executions", 3)
CLOSED = DeadLetterFilter(closed=True)


def letter(offset: int, value: bytes | None, reason: str = "unknown_type", **more: Any) -> DeadLetter:
    """A dead letter of an older consumer, which could not read what it kept."""
    headers = more.get("headers", ())
    return DeadLetter(PARTITION, offset, 1_700_000_000_000, b"k", value, headers, reason, more.get("field", ""))


def encoded(each: Event) -> bytes:
    """An event's bytes."""
    value = encode(each)
    assert value is not None
    return value


def expected(events: list[Event]) -> dict[UUID, ExecutionRow]:
    """The rows that a set of events must give."""
    by_run: dict[UUID, list[Event]] = {}
    for each in events:
        by_run.setdefault(each.execution_id, []).append(each)
    return {id_: row(fold(of_run)) for id_, of_run in by_run.items()}


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[DeadLetterReader]:
    """Finds dead letters."""
    async with DeadLetterReader(database_url) as reader:
        yield reader


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[DeadLetterStore]:
    """Redrives them."""
    store = DeadLetterStore(database_url)
    yield store
    await store.close()


@pytest.fixture
def redrive(reader: DeadLetterReader, store: DeadLetterStore) -> Any:
    """Redrive what a filter finds, as ann."""

    async def run(which: DeadLetterFilter = EVERY_OPEN, *, dry_run: bool = False, again: bool = False) -> Redriven:
        return await Redrive(reader, None if dry_run else store, "ann", again=again).run(which)

    return run


async def test_letters_that_are_events_now_are_applied(
    redrive: Any, reader: DeadLetterReader, writer: Writer, database_url: str
) -> None:
    """What has become readable is in the table as if it had never been a letter, and noted with who and when."""
    applied = [event("started", n, run=f"r{n}", user_id="ada") for n in range(5)]
    late = [event("completed", n + 9, run=f"r{n}", output={"n": n}) for n in range(5)]
    await writer.write(applied)
    await writer.write(dead_letters=[letter(n, encoded(each)) for n, each in enumerate(late)])
    done = await redrive()
    assert (done.applied, done.skipped, done.failed, done.passed_over) == (5, 0, {}, {})
    assert await rows(database_url) == expected([*applied, *late])
    found = await reader.list(CLOSED)
    assert {(one.state, one.redrives, one.redrive_outcome, one.redrive_by) for one in found} == {
        ("redriven", 1, "applied", "ann")
    }
    assert all(one.redrive_at is not None and one.redrive_at.tzinfo is not None for one in found)
    assert await reader.list() == []
    assert (await redrive()).seen == 0


async def test_letters_that_are_still_wrong_stay_and_are_passed_over_after_three_tries(
    redrive: Any, reader: DeadLetterReader, writer: Writer
) -> None:
    """Each try is noted with the reason of today; a fourth needs to be asked for, and a good letter is not held up."""
    await writer.write(dead_letters=[letter(1, b"{}"), letter(2, encoded(event("started"))), letter(3, b"[")])
    first = await redrive()
    assert (first.applied, first.failed) == (1, {"missing": 1, "not_an_object": 1})
    for _ in range(REDRIVES_MAX - 1):
        assert (await redrive()).failed.total() == 2
    assert (await redrive()).passed_over == {f"redriven {REDRIVES_MAX} times": 2}
    assert (await redrive(again=True)).failed.total() == 2
    found = {one.offset: one for one in await reader.list()}
    assert {n: (one.state, one.reason, one.redrives, one.redrive_outcome) for n, one in found.items()} == {
        1: ("open", "unknown_type", REDRIVES_MAX + 1, "missing"),
        3: ("open", "unknown_type", REDRIVES_MAX + 1, "not_an_object"),
    }


async def test_what_is_nothing_to_apply_is_skipped_and_closed(
    redrive: Any, reader: DeadLetterReader, writer: Writer, database_url: str
) -> None:
    """A verb of a later version and a null value are closed without a row."""
    later = record(type="workflow.execution.defrosted.v1")
    await writer.write(dead_letters=[letter(1, later), letter(2, None, "header_not_utf8")])
    assert (await redrive()).skipped == 2
    assert {one.redrive_outcome for one in await reader.list(CLOSED)} == {"skipped"}
    assert await rows(database_url) == {}


async def test_a_withheld_payload_is_kept_when_it_is_redriven(redrive: Any, writer: Writer, database_url: str) -> None:
    """A letter whose payload PostgreSQL cannot hold is applied without it, and the bytes are kept where they belong."""
    value = record({"temporal_run_id": "w"}, raw={"input": '"\\u0000"'})
    await writer.write(dead_letters=[letter(7, value)])
    assert (await redrive()).applied == 1
    kept = await fetch(database_url, 'SELECT consumer_group, "offset", codes, value FROM withheld_payloads')
    assert [tuple(r) for r in kept] == [("g", 7, ["nul_character"], value)]


async def test_what_was_no_record_is_never_decoded(redrive: Any, reader: DeadLetterReader, writer: Writer) -> None:
    """A batch set aside whole, and a record that lost a part of itself, are passed over, with or without bytes."""
    letters = [letter(n, encoded(event("started")) if n % 2 else None, why) for n, why in enumerate(sorted(NO_RECORDS))]
    await writer.write(dead_letters=letters)
    assert (await redrive(again=True)).passed_over == dict.fromkeys(NO_RECORDS, 1)
    assert {one.redrives for one in await reader.list()} == {0}


async def test_one_letter_that_postgresql_refuses_holds_up_no_other(
    redrive: Any,
    reader: DeadLetterReader,
    writer: Writer,
    connection: asyncpg.Connection[asyncpg.Record],
    database_url: str,
) -> None:
    """Among many letters the one that a constraint refuses is found, noted with the reason, and the rest is applied."""
    rule = "ALTER TABLE workflow_executions {} CONSTRAINT no_curse"
    await connection.execute(rule.format("ADD") + " CHECK (reason IS DISTINCT FROM 'curse')")
    events = [event("terminated", n, run=f"r{n}", reason="curse" if n == 11 else "no") for n in range(30)]
    await writer.write(dead_letters=[letter(n, encoded(each)) for n, each in enumerate(events)])
    done = await redrive()
    assert (done.applied, done.failed) == (29, {"refused_23514": 1})
    assert await rows(database_url) == expected([each for n, each in enumerate(events) if n != 11])
    await connection.execute(rule.format("DROP"))
    assert (await redrive()).applied == 1
    assert await rows(database_url) == expected(events)
    assert await reader.list() == []


async def test_a_dry_run_changes_nothing(
    redrive: Any, reader: DeadLetterReader, writer: Writer, database_url: str
) -> None:
    """It says what would become of the letters and leaves letters and table as they are."""
    await writer.write(dead_letters=[letter(1, b"{}"), letter(2, encoded(event("started")))])
    before = await reader.list()
    done = await redrive(dry_run=True)
    assert (done.applied, done.failed) == (1, {"missing": 1})
    assert await reader.list() == before
    assert await rows(database_url) == {}


async def test_filters_choose_by_reason_topic_type_time_and_id(reader: DeadLetterReader, writer: Writer) -> None:
    """Each filter narrows; the type is found in the value's bytes and in a header, whatever else is wrong."""
    started = b'{"type":"workflow.execution.started.v1"'
    binary = letter(3, b"\xff", headers=(("ce_type", b"workflow.execution.started.v1"),))
    await writer.write(dead_letters=[letter(1, started, "not_json"), letter(2, b'{"type":"other"}'), binary])
    ids = {one.offset: one.id for one in await reader.list()}

    async def found(**which: Any) -> list[int]:
        return [one.offset for one in await reader.list(DeadLetterFilter(**which))]

    now = datetime.now(UTC)
    assert await found(type="workflow.execution.started.v1") == [3, 1]
    assert await found(type="workflow.execution.started.v1", reason="not_json") == [1]
    assert await found(type='started.v1"') == []
    assert await found(ids=(ids[1], ids[2], 10**12)) == [2, 1]
    assert await found(topic="executions") == [3, 2, 1]
    assert await found(since=now - timedelta(minutes=5)) == [3, 2, 1]
    assert await found(since=now + timedelta(minutes=5)) == []
    assert await found(until=now - timedelta(minutes=5)) == []
    assert [one.offset for one in await reader.list(before=ids[3], limit=1)] == [2]


async def test_a_letter_is_redriven_once(store: DeadLetterStore, reader: DeadLetterReader, writer: Writer) -> None:
    """Of two that redrive the same letter one is refused, and writes nothing."""
    from store.batch import Batch

    await writer.write(dead_letters=[letter(1, b"{}"), letter(2, b"{}")])
    newest, oldest = await reader.list()
    await store.redrive({newest.id: "skipped"}, Batch("g", {}), "ann")
    with pytest.raises(FencedError, match="not open any more"):
        await store.redrive({newest.id: "applied", oldest.id: "applied"}, Batch("g", {}), "bob")
    assert [(one.id, one.redrive_by) for one in await reader.list(CLOSED)] == [(newest.id, "ann"), (oldest.id, None)]


async def test_more_letters_than_a_page_are_all_redriven(redrive: Any, writer: Writer, database_url: str) -> None:
    """Pages follow each other until nothing is left, also where many large values make small ones of them."""
    events = [event("completed", n, run=f"r{n}", output="x" * 60_000) for n in range(2 * PAGE + 3)]
    await writer.write(dead_letters=[letter(n, encoded(each)) for n, each in enumerate(events)])
    assert (await redrive()).applied == len(events)
    assert len(await rows(database_url)) == len(events)


async def test_purging_drops_the_bytes_and_keeps_the_story(
    store: DeadLetterStore, reader: DeadLetterReader, writer: Writer, redrive: Any
) -> None:
    """Key, headers and value go; coordinates and reasons stay, and the same record is still kept once."""
    bad = letter(1, b"secret", headers=(("h", b"secret"),), field="data.input")
    await writer.write(dead_letters=[bad, letter(2, encoded(event("started")))])
    await redrive(DeadLetterFilter(reason="unknown_type", ids=tuple(one.id for one in await reader.list())))
    newest, oldest = await reader.list(CLOSED)
    assert await store.purge([newest.id, oldest.id, 10**12], "bob", "privacy") == 2
    assert await store.purge([newest.id], "eve", None) == 0
    purged = await reader.get(oldest.id)
    assert purged is not None
    assert (purged.key, purged.value, purged.headers, purged.value_bytes) == (None, None, (), None)
    assert (purged.partition, purged.offset, purged.reason, purged.field) == (3, 1, "unknown_type", "data.input")
    assert (purged.state, purged.purged_by, purged.purge_reason) == ("purged", "bob", "privacy")
    still = await reader.get(newest.id)
    assert still is not None
    assert (still.state, still.purged_by, still.redrive_outcome) == ("redriven", "bob", "applied")
    await writer.write(dead_letters=[bad])
    assert len(await reader.list(CLOSED)) == 2
    assert (await redrive()).seen == 0
