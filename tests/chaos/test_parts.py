"""The parts of the campaign, which must be right before they may judge: plan, link, log reader, oracles."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from aiokafka import AIOKafkaProducer

from consumer.local import ports
from events import Event, Status, decode, fold, row
from events.errors import InvalidEvent
from events.publisher import ensure_topics
from store.execution import Execution
from tests.chaos import plan
from tests.chaos.faults import BY_NAME, FAULTS
from tests.chaos.lives_told import POISONS, Teller
from tests.chaos.oracles import gaps
from tests.chaos.proxy import Link
from tests.chaos.segments import read_topic
from tests.chaos.witness import goes_back
from tests.consuming import until
from tests.kafka.poison import BROKEN_NAME
from tests.lives import at, event
from tests.stack import Servers


@pytest.mark.parametrize("seed", range(10))
def test_a_seed_decides_the_plan(seed: int) -> None:
    """The same seed gives the same faults, enough of them, and never two at once that break one resource."""
    drawn = plan.draw(seed, 76)
    assert drawn == plan.draw(seed, 76)
    assert len(drawn) >= 20
    for resource in {fault.resource for fault in FAULTS} - {""}:
        same = [planned for planned in drawn if planned.fault.resource == resource]
        assert all(before.until < after.at for before, after in pairwise(same))


def test_a_long_plan_has_every_kind() -> None:
    """In ten minutes each kind of fault is drawn, and what is not possible is left out."""
    assert {planned.fault.name for planned in plan.draw(1, 580)} == set(BY_NAME)
    assert {planned.fault.name for planned in plan.draw(1, 90, only=["consumer killed"])} == {"consumer killed"}


def test_the_teller_tells_lives_and_poison() -> None:
    """What is told are valid events, some of them twice, and poison, about as much as is meant."""
    teller = Teller(Random(1))
    told = [teller.next() for _ in range(5_000)]
    events = Counter(record.value for record in told if not record.key.startswith((b"poison-", b"tombstone")))
    assert all(isinstance(decode(value), Event) for value in events)
    assert 0.05 < sum(n - 1 for n in events.values()) / len(told) < 0.15
    assert 0.01 < teller.poisoned / len(told) < 0.04
    for sent in POISONS[:-1]:
        with pytest.raises(InvalidEvent):
            decode(sent.value, sent.headers)


def test_steps_that_do_not_join_are_found() -> None:
    """A hole, an overlap and a step beyond the position each break the chain of steps."""
    assert gaps([(0, 3), (3, 5)], 5) == []
    assert gaps([], 0) == []
    assert len(gaps([(0, 3), (4, 5)], 5)) == 1
    assert len(gaps([(0, 3), (2, 5)], 5)) == 1
    assert len(gaps([(0, 3), (0, 3)], 3)) == 1
    assert len(gaps([(1, 5)], 7)) == 2


def test_a_row_that_goes_back_is_seen() -> None:
    """A reader may not see a row vanish, its times or attempt go back, or its end undone within one attempt."""
    shown = row(fold([event("completed", 9, attempt=2)]))
    ended = Execution(**{f.name: getattr(shown, f.name) for f in fields(shown)}, applied_at=at(10))
    assert goes_back(ended, ended) == ""
    assert goes_back(ended, replace(ended, attempt=3, status=Status.RUNNING)) == ""
    for worse in (
        None,
        replace(ended, attempt=1),
        replace(ended, updated_at=ended.updated_at - timedelta(seconds=1)),
        replace(ended, created_at=ended.created_at + timedelta(seconds=1)),
        replace(ended, status=Status.RUNNING),
    ):
        assert goes_back(ended, worse)


async def test_the_log_reader_sees_what_lies_on_the_disk(servers: Servers, topic: str) -> None:
    """Committed records are read byte for byte, aborted ones and markers are told apart."""
    if servers.local is None:
        pytest.skip("reads the broker's files, which only the local stack lets us reach")
    await ensure_topics(servers.kafka_bootstrap_servers, [topic], partitions=1)
    producer = AIOKafkaProducer(bootstrap_servers=servers.kafka_bootstrap_servers, transactional_id=topic)
    await producer.start()
    try:
        async with producer.transaction():
            for n in range(3):
                await producer.send_and_wait(
                    topic, b"v" * n, key=b"k", headers=[("h", None), ("", BROKEN_NAME)], timestamp_ms=n
                )
            await producer.send_and_wait(topic, None, key=b"k")
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"never")
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"last")
    finally:
        await producer.stop()
    folder = servers.local.kafka.folder / "log"

    async def is_whole() -> bool:
        """The last marker is written after the producer was told that its transaction is over."""
        return read_topic(folder, topic)[0].end == 9

    await until(is_whole, "the last marker is on the disk")
    [log] = read_topic(folder, topic).values()
    assert (log.markers, log.aborted, log.open, log.end) == ({4, 6, 8}, {5}, set(), 9)
    assert [log.records[n].value for n in (0, 1, 2, 3, 7)] == [b"", b"v", b"vv", None, b"last"]
    assert log.records[2][:4] == (0, 2, 2, b"k")
    assert log.records[2].headers == ((b"h", None), (b"", BROKEN_NAME))
    assert log.records[3][3:5] == (b"k", None)


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that says everything back; its port."""

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    port = ports.choose("echo", None)
    async with await asyncio.start_server(answer, ports.LOOPBACK, port):
        yield port


@asynccontextmanager
async def client(link: Link) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    """A connection through a link."""
    reader, writer = await asyncio.open_connection(ports.LOOPBACK, link.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def said(reader: StreamReader, writer: StreamWriter) -> bytes:
    """What comes back within a moment; nothing if nothing does."""
    writer.write(b"x")
    try:
        return await asyncio.wait_for(reader.read(100), 0.1)
    except TimeoutError:
        return b""


async def test_a_link_fails_as_it_is_told() -> None:
    """A link passes bytes on, holds them back until it heals, loses answers for good, and resets connections."""
    async with echo() as port, Link("echo", port) as link, client(link) as (reader, writer):
        assert await said(reader, writer) == b"x"
        link.hold()
        assert await said(reader, writer) == b""
        link.heal()
        assert await asyncio.wait_for(reader.read(1), 5) == b"x"
        link.swallows_answers = True
        assert await said(reader, writer) == b""
        link.heal()
        assert await said(reader, writer) == b"x"
        link.cut()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(1), 5)


async def test_a_half_open_link_tells_one_side_only() -> None:
    """A client whose server is gone hears nothing until the link heals, and then that it is over."""
    async with echo() as port, Link("echo", port) as link, client(link) as (reader, writer):
        assert await said(reader, writer) == b"x"
        link.half_open(client_knows=False)
        assert await said(reader, writer) == b""
        link.heal()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(1), 5)
