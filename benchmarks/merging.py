"""What PostgreSQL spends on merging: the same batches, again and again, each time into an empty table.

The batches are those that the consumer makes of a busy log in deep drains. The statement `YARDSTICK` says how fast
PostgreSQL is here and now, which is what the figures of two days can be compared by.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from uuid import UUID

import asyncpg
import psutil

from benchmarks.peers.run import make_log
from benchmarks.peers.table import database
from consumer.batch import prepare
from consumer.chunk import Chunk, Prepared, Span
from consumer.record import Record
from events.position import TopicPartition
from store import PostgresStore
from store.batch import Batch, LogRange, Move

EVENTS = 30_000
BATCH = 2_000  # records
PARTITION = TopicPartition("benchmark", 0)
TOKEN = UUID(int=1)
YARDSTICK = """
    CREATE TEMPORARY TABLE yardstick (id uuid PRIMARY KEY, name text);
    CREATE INDEX ON yardstick (name, id);
    INSERT INTO yardstick SELECT md5(number::text)::uuid, repeat('x', 300) || number % 97
    FROM generate_series(1, 20000) AS number;
    DROP TABLE yardstick;
"""
YARDSTICK_ROWS = 20_000
THE_OTHER = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def batches(events: int = EVENTS) -> list[Batch]:
    """Return what the consumer makes of a log of one partition."""
    values = [told.value for told in make_log(events).records]
    return list(_batches([Record(offset, 0, b"key", value, ()) for offset, value in enumerate(values)]))


def _batches(records: Sequence[Record]) -> Iterator[Batch]:
    unread = iter(records)
    while part := tuple(islice(unread, BATCH)):
        begin, end = part[0].offset, part[-1].offset + 1
        work = _prepared(Chunk(0, {PARTITION: part}, {PARTITION: Span(begin, end)}))
        yield Batch("benchmark", {PARTITION: Move(TOKEN, begin, end)}, work.states, work.catalogue)


def _prepared(chunk: Chunk) -> Prepared:
    made: list[Prepared] = []

    def keep() -> Iterator[None]:
        made.append((yield from prepare(chunk)))

    for _ in keep():
        pass
    return made[0]


async def merge_once(server_url: str, work: Sequence[Batch]) -> dict[str, float]:
    """Return the microseconds per event of the backend and of this process, and those per row of the yardstick."""
    events = max(move.next_offset for batch in work for move in batch.moves.values())
    async with database(server_url, plain=False) as url:
        store, watcher = PostgresStore(url), await asyncpg.connect(url)
        try:
            await store.claim("benchmark", {PARTITION: LogRange(0, 0)}, TOKEN, "benchmark")
            backend = await watcher.fetchval(THE_OTHER)
            own, spent = time.process_time(), processor_seconds(backend)
            for batch in work:
                await store.apply(batch)
            own, spent = time.process_time() - own, processor_seconds(backend) - spent
            return {
                "backend": spent / events * 1e6,
                "client": own / events * 1e6,
                "yardstick": await _yardstick(watcher),
            }
        finally:
            await store.close()
            await watcher.close()


async def _yardstick(connection: asyncpg.Connection[asyncpg.Record]) -> float:
    backend = connection.get_server_pid()
    spent = processor_seconds(backend)
    await connection.execute(YARDSTICK)
    return (processor_seconds(backend) - spent) / YARDSTICK_ROWS * 1e6


def processor_seconds(pid: int) -> float:
    """Return what a process has spent: to the nanosecond where the kernel tells, else to the hundredth of a second."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
