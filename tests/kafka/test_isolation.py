"""Records and batches that the Kafka client cannot read, on a real Kafka: each costs itself, and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from consumer import client_codecs
from consumer.inflate import INFLATED_BYTES_MAX, inflate
from consumer.record_batch import HEADER
from consumer.slow_path import REFETCH_SECONDS
from consumer.source import Source, SourceError
from events import Event
from events.position import TopicPartition
from events.publisher import ensure_topics
from store import PostgresStore
from tests.consuming import applied, consume_all, consuming, encoded, fetch, make_service, produce, rows, until
from tests.kafka.poison import HEADERS, KEPT_HEADERS, flip, log_file, producing, send_batch
from tests.kafka.test_consumer import expected
from tests.lives import event
from tests.stack import Servers

ROOT = Path(__file__).parents[2]
CODECS = ("gzip", "snappy", "lz4", "zstd")
BOMB_BYTES = 200_000_000
LETTERS = 'SELECT * FROM dead_letters ORDER BY partition, "offset"'


def events(name: str, count: int) -> list[Event]:
    """Events of as many runs."""
    return [event("completed", n, run=f"{name}-{n}", output=n) for n in range(count)]


async def test_a_header_that_is_not_utf8_costs_its_record(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is a dead letter byte for byte, and all the others of four partitions are applied."""
    bootstrap = servers.kafka_bootstrap_servers
    before, after, beside = events("before", 40), events("after", 40), events("beside", 3)
    bad = encoded(events("bad", 1))[0]
    await produce(bootstrap, topic, encoded(before), partitions=4)
    async with producing(servers, monkeypatch) as producer:
        good = [(value, ()) for value in encoded(beside)]
        offset = await send_batch(producer, topic, 1, [*good[:2], (bad, HEADERS), *good[2:]])
    await produce(bootstrap, topic, encoded(after), partitions=4)
    service = make_service(bootstrap, PostgresStore(database_url), topic)
    async with consuming(service):
        await until(lambda: applied(database_url, topic, 84), "everything is applied")
        await produce(bootstrap, topic, encoded(events("later", 4)), partitions=4)
        await until(lambda: applied(database_url, topic, 88), "the client reads on by itself")
    assert service.core.halted == ()
    assert await rows(database_url) == expected([*before, *after, *beside, *events("later", 4)])
    [letter] = await fetch(database_url, LETTERS)
    assert (letter["reason"], letter["field"], letter["partition"], letter["offset"]) == (
        "header_not_utf8",
        "headers",
        1,
        offset + 2,
    )
    assert (letter["key"], letter["value"], letter["record_timestamp_ms"]) == (b"key", bad, 1_700_000_000_002)
    assert (letter["header_keys"], letter["header_values"]) == KEPT_HEADERS
    assert await fetch(database_url, "SELECT 1 FROM incidents") == []


PATTERNS = {
    "alone": "x",
    "at the start": "xgg",
    "at the end": "ggx",
    "two in one batch": "gxgxg",
    "nothing but": "xxxx",
    "batches of each": "g/x/g/x/gxg/x",
}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
async def test_wherever_they_are_poisonous_records_are_set_aside(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    """Each of them is one dead letter at its offset, and the good ones (g) around them (x) are applied."""
    await ensure_topics(servers.kafka_bootstrap_servers, [topic], partitions=1)
    everything = events("any", len(pattern))
    written: list[tuple[str, Event]] = []
    async with producing(servers, monkeypatch) as producer:
        for batch in pattern.split("/"):
            good = iter(everything[len(written) :])
            written += [(kind, next(good)) for kind in batch]
            await send_batch(
                producer,
                topic,
                0,
                [(encoded([one])[0], HEADERS if kind == "x" else ()) for kind, one in written[-len(batch) :]],
            )
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert await rows(database_url) == expected([one for kind, one in written if kind == "g"])
    letters = [(r["offset"], r["value"]) for r in await fetch(database_url, LETTERS)]
    assert letters == [(n, encoded([one])[0]) for n, (kind, one) in enumerate(written) if kind == "x"]


@pytest.mark.parametrize("codec", CODECS)
async def test_compressed_topics_are_read(
    servers: Servers, database_url: str, topic: str, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every codec is read by the client, and by the slow path beside a record that the client cannot read."""
    await ensure_topics(servers.kafka_bootstrap_servers, [topic], partitions=1)
    everything = events("any", 60)
    values = [(value, HEADERS if n == 45 else ()) for n, value in enumerate(encoded(everything))]
    async with producing(servers, monkeypatch, compression_type=codec) as producer:
        await send_batch(producer, topic, 0, values[:30])
        await send_batch(producer, topic, 0, values[30:])
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert await rows(database_url) == expected(everything[:45] + everything[46:])
    assert [r["offset"] for r in await fetch(database_url, LETTERS)] == [45]


# What a process is started by counts as its own peak, so that a small one stands between it and the tests.
BETWEEN = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
CONSUME = """
import asyncio, json, resource, sys, time
sys.path.insert(0, sys.argv[1])
from store import PostgresStore
from tests.consuming import consume_all, make_service
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
stuck = 0
run = asyncio.Handle._run
def run_and_look(handle):
    global stuck
    before = time.thread_time()
    run(handle)
    stuck = max(stuck, time.thread_time() - before)
asyncio.Handle._run = run_and_look
before = peak()
service = asyncio.run(consume_all(sys.argv[2], PostgresStore(sys.argv[3]), sys.argv[4]))
events = service.metrics.value("wex_records_total", outcome="applied")
said = {"events": events, "grown": peak() - before, "peak": peak(), "stuck": stuck}
print(json.dumps(said))
"""


@pytest.mark.parametrize("codec", CODECS)
async def test_bombs_cost_their_batches_and_never_their_memory(
    servers: Servers,
    database_url: str,
    topic: str,
    codec: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Three times 200 MB of zeros in a few bytes are three dead letters; they fill no memory, and hold up no loop."""
    bootstrap = servers.kafka_bootstrap_servers
    before, after = events("before", 20), events("after", 20)
    await produce(bootstrap, topic, encoded(before), partitions=2)
    await _raise_message_limit(bootstrap, topic)
    large = {"max_request_size": 2 * BOMB_BYTES, "max_batch_size": 2 * BOMB_BYTES}
    async with producing(servers, monkeypatch, compression_type=codec, **large) as producer:
        offsets = [await send_batch(producer, topic, 1, [(bytes(BOMB_BYTES), ())]) for _ in range(3)]
    await produce(bootstrap, topic, encoded(after), partitions=2)

    command = [sys.executable, "-c", BETWEEN, sys.executable, "-c", CONSUME, str(ROOT), bootstrap, database_url, topic]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=100)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout.splitlines()[-1])
    assert said["events"] == 40
    with capsys.disabled():
        sys.stdout.write(
            f"\n3 bombs of 200 MB, {codec}: peak {said['peak'] / 2**20:.0f} MiB,"
            f" grown by {said['grown'] / 2**20:.0f} MiB,"
            f" at most {said['stuck'] * 1000:.0f} ms of work in one turn of the loop\n"
        )
    assert said["grown"] < 2.5 * INFLATED_BYTES_MAX
    assert said["peak"] < 400_000_000
    assert said["stuck"] < 1.0

    assert await rows(database_url) == expected([*before, *after])
    letters = await fetch(database_url, LETTERS)
    assert [(each["reason"], each["partition"], each["offset"]) for each in letters] == [
        ("inflates_beyond_cap", 1, offset) for offset in offsets
    ]
    for letter, offset in zip(letters, offsets, strict=True):
        what = f"offsets {offset} to {offset}: inflates to more than 67108864 bytes; {codec}, "
        assert letter["detail"].startswith(what)
        if letter["value"] is None:
            assert codec == "snappy"  # which does not make less than 9 MB of it
        else:
            assert hashlib.sha256(letter["value"]).hexdigest() in letter["detail"]


async def _raise_message_limit(bootstrap: str, topic: str) -> None:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "20000000"})])
    await admin.close()


async def test_batches_just_below_the_bound_do_not_add_up(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many batches that inflate to a lot, each within the bound, are read a few at a time."""
    monkeypatch.setattr("consumer.source.INFLATED_BYTES_MAX", 4_000_000)
    await ensure_topics(servers.kafka_bootstrap_servers, [topic], partitions=1)
    everything = [event("completed", n, run=f"r{n}", output=["x" * 1000] * 200) for n in range(120)]
    async with producing(servers, monkeypatch, compression_type="zstd", max_batch_size=4_000_000) as producer:
        for first in range(0, 120, 5):
            await send_batch(producer, topic, 0, [(value, ()) for value in encoded(everything[first : first + 5])])
    service = await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert service.metrics.value("wex_records_total", outcome="applied") == 120
    assert service.metrics.value("wex_kafka_errors_total", call="fetch") > 0
    assert await fetch(database_url, "SELECT 1 FROM dead_letters") == []


@pytest.mark.parametrize("damage", ["damaged compression", "unknown codec"])
async def test_a_batch_that_cannot_be_inflated_costs_itself(
    servers: Servers, database_url: str, topic: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch whose checksum holds and whose compression does not is a dead letter, byte for byte."""
    await ensure_topics(servers.kafka_bootstrap_servers, [topic], partitions=1)
    everything = events("any", 30)
    values = [(value, ()) for value in encoded(everything)]
    async with producing(servers, monkeypatch, compression_type="zstd") as producer:
        for n in (0, 10, 20):
            await send_batch(producer, topic, 0, values[n : n + 10])
    file = log_file(servers, topic, 0)
    if damage == "unknown codec":
        raw = flip(file, 1, resealed=True, at=CODEC_AT, byte=7)
    else:
        raw = flip(file, 1, resealed=True, at=HEADER.size)  # the frame's magic number
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert await rows(database_url) == expected(everything[:10] + everything[20:])
    [letter] = await fetch(database_url, LETTERS)
    assert (letter["reason"], letter["offset"], letter["value"]) == ("corrupt_batch", 10, raw)
    assert "offsets 10 to 19" in letter["detail"]


CODEC_AT = 22  # the lower byte of the attributes


async def test_a_flipped_bit_in_the_log_halts_its_partition(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the checksum does not confirm is read three times and halts the partition; what is before it is applied."""
    await ensure_topics(servers.kafka_bootstrap_servers, [topic], partitions=2)
    everything = events("any", 30)
    values = [(value, ()) for value in encoded(everything)]
    async with producing(servers, monkeypatch) as producer:
        for n in (0, 10, 20):
            await send_batch(producer, topic, 0, values[n : n + 10])
    file = log_file(servers, topic, 0)
    flip(file, 1, resealed=False)
    await produce(servers.kafka_bootstrap_servers, topic, [None, *encoded(events("beside", 1))], partitions=2)
    async with consuming(make_service(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)) as service:
        await until(lambda: _halted(database_url), "the partition is halted")
        await until(lambda: applied(database_url, topic, 11), "the other goes on")
        assert service.core.halted == (TopicPartition(topic, 0),)
    assert await rows(database_url) == expected([*everything[:10], *events("beside", 1)])
    [incident] = await fetch(database_url, "SELECT kind, partition, from_offset, detail FROM incidents")
    assert tuple(incident)[:3] == ("corrupt", 0, 10)
    assert "at offset 10: the checksum of the record batch does not hold" in incident["detail"]
    assert await fetch(database_url, "SELECT 1 FROM dead_letters") == []


async def test_a_flipped_bit_on_the_way_is_asked_for_again(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage that is gone when the log is read once more costs nothing."""
    await ensure_topics(servers.kafka_bootstrap_servers, [topic], partitions=1)
    everything = events("any", 10)
    async with producing(servers, monkeypatch) as producer:
        await send_batch(producer, topic, 0, [(value, ()) for value in encoded(everything)])
    file = log_file(servers, topic, 0)
    flip(file, 0, resealed=False)
    mended = False

    async def mend(seconds: float, result: None = None) -> None:
        nonlocal mended
        if seconds == REFETCH_SECONDS and not mended:
            mended = True
            flip(file, 0, resealed=False)
        await real_sleep(seconds, result)

    real_sleep = asyncio.sleep
    monkeypatch.setattr("consumer.slow_path.asyncio.sleep", mend)
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert mended
    assert await rows(database_url) == expected(everything)


async def _halted(database_url: str) -> bool:
    return bool(await fetch(database_url, "SELECT 1 FROM positions WHERE state = 'halted'"))


async def test_an_aborted_transaction_beside_poison_is_not_applied(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow path reads what was committed: aborted records and poison among them are passed over, markers too."""
    await ensure_topics(servers.kafka_bootstrap_servers, [topic], partitions=1)
    names = ("kept", "gone", "bad", "late", "last")
    kept, gone, bad, late, last = (encoded(events(name, 1))[0] for name in names)
    async with producing(servers, monkeypatch, transactional_id=f"tx-{topic}") as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, kept, partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(topic, gone, partition=0)
        await producer.send_and_wait(topic, gone, partition=0, headers=HEADERS)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, bad, partition=0, headers=HEADERS)
            await producer.send_and_wait(topic, late, partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(topic, gone, partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, last, partition=0, headers=HEADERS)
        end = 12
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert await applied(database_url, topic, end)
    assert await rows(database_url) == expected([*events("kept", 1), *events("late", 1)])
    assert [r["value"] for r in await fetch(database_url, LETTERS)] == [bad, last]


async def test_poison_behind_holes_is_set_aside(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holes that markers leave are believed by the slow path as by the client."""
    await ensure_topics(servers.kafka_bootstrap_servers, [topic], partitions=1)
    everything = events("any", 40)
    values = encoded(everything)
    async with producing(servers, monkeypatch, transactional_id=f"tx-{topic}") as producer:
        for n, value in enumerate(values):
            async with producer.transaction():
                await producer.send_and_wait(topic, value, partition=0, headers=HEADERS if n % 10 == 9 else [])
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert await applied(database_url, topic, 80)
    assert await rows(database_url) == expected([one for n, one in enumerate(everything) if n % 10 != 9])
    assert [r["offset"] for r in await fetch(database_url, LETTERS)] == [18, 38, 58, 78]


async def test_a_consumer_stopped_within_a_poisoned_region_goes_on_there(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the last applied record is poison, a bomb or good, the next consumer compares it or goes on without."""
    bootstrap = servers.kafka_bootstrap_servers
    await ensure_topics(bootstrap, [topic], partitions=1)
    everything = events("any", 12)
    values = encoded(everything)
    for n, value in enumerate(values):
        async with producing(servers, monkeypatch, compression_type="zstd", max_batch_size=100_000_000) as producer:
            if n % 3 == 2:
                await send_batch(producer, topic, 0, [(bytes(70_000_000), ())])
            else:
                await send_batch(producer, topic, 0, [(value, HEADERS if n % 3 == 1 else ())])
        await consume_all(bootstrap, PostgresStore(database_url), topic)
    assert await rows(database_url) == expected(everything[::3])
    found = [(r["offset"], r["reason"]) for r in await fetch(database_url, LETTERS)]
    assert found == list(
        chain.from_iterable([(n + 1, "header_not_utf8"), (n + 2, "inflates_beyond_cap")] for n in range(0, 12, 3))
    )
    assert await fetch(database_url, "SELECT 1 FROM incidents") == []


async def test_another_log_that_begins_with_poison_halts(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow path compares the last applied record, too."""
    bootstrap = servers.kafka_bootstrap_servers
    await produce(bootstrap, topic, encoded(events("any", 5)), partitions=1)
    await consume_all(bootstrap, PostgresStore(database_url), topic)
    await fetch(database_url, "UPDATE positions SET anchor = 'another'")
    async with producing(servers, monkeypatch) as producer:
        await send_batch(producer, topic, 0, [(b"{}", HEADERS)])
    async with consuming(make_service(bootstrap, PostgresStore(database_url), topic)):
        await until(lambda: _halted(database_url), "the partition is halted")
    assert [r["kind"] for r in await fetch(database_url, "SELECT kind FROM incidents")] == ["another_log"]


async def test_an_outage_of_the_slow_path_halts_nothing(
    servers: Servers, database_url: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While no broker answers the slow path, the partition waits; afterwards the record is set aside."""
    await ensure_topics(servers.kafka_bootstrap_servers, [topic], partitions=1)
    async with producing(servers, monkeypatch) as producer:
        await send_batch(producer, topic, 0, [(b"{}", HEADERS), *[(v, ()) for v in encoded(events("any", 1))]])
    real, failures = Source.read_slowly, iter(range(2))

    async def read_slowly(self: Source, partition: TopicPartition, offset: int) -> object:
        if next(failures, None) is not None:
            raise SourceError("no broker answers")
        return await real(self, partition, offset)

    monkeypatch.setattr(Source, "read_slowly", read_slowly)
    await consume_all(servers.kafka_bootstrap_servers, PostgresStore(database_url), topic)
    assert await rows(database_url) == expected(events("any", 1))
    assert len(await fetch(database_url, LETTERS)) == 1


def test_a_client_that_inflates_in_another_way_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the bounded codecs are not asked, the consumer says so before it reads anything."""
    monkeypatch.setattr(client_codecs, "_bounded", lambda codec: lambda data: inflate(codec, data, 1_000))
    with pytest.raises(RuntimeError, match="without a bound"):
        client_codecs.install()
    monkeypatch.undo()
    client_codecs.install()
