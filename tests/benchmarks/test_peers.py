"""The sinks that the consumer is compared with do their work, and the comparison sees what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest

from benchmarks.peers.columns import Columns, columns, overwrite
from benchmarks.peers.flat import flat, schema
from benchmarks.peers.held_log import HeldLog, make_topics
from benchmarks.peers.programs import Consumer, Script
from benchmarks.peers.run import Log, delayed, make_log
from benchmarks.peers.sink import Place, Running, Sink
from benchmarks.peers.table import Answer, database, truth, wrong_rows
from benchmarks.workload import Told, workload
from tests.stack import Servers

WAIT_SECONDS = 60
SMALL_BATCHES = ("50",)  # or a short log would be one batch, and no row met again
PYTHON_SINKS: list[Sink] = [
    Consumer(),
    Script("by hand", "by_hand", options=("--offsets-behind",)),
    Script("FastStream", "with_faststream", package="faststream", options=SMALL_BATCHES),
    Script("librdkafka", "with_librdkafka", package="confluent_kafka", options=SMALL_BATCHES),
]


@pytest.fixture(scope="module")
def log() -> Log:
    """A short log, with records that come late."""
    return make_log(400)


async def written(servers: Servers, sink: Sink, log: Log, folder: Path) -> int:
    """Give a sink a log that was held back, and return how many rows it got wrong."""
    name = uuid4().hex[:8]
    await make_topics(servers.kafka_bootstrap_servers, [name])
    async with database(servers.database_url, plain=sink.plain_table) as url:
        place = Place(servers.kafka_bootstrap_servers, url, (name,), f"group-{name}", str(folder))
        async with HeldLog(place.servers, name, log.records) as held, Running(sink, place) as running:
            await held.publish()
            await running.wait_for(log.last, WAIT_SECONDS)
        return await wrong_rows(url, log.right)


async def test_each_sink_of_python_writes_the_log_and_the_last_word_is_wrong(
    servers: Servers, log: Log, tmp_path: Path
) -> None:
    """Every sink applies a whole log; whose last write wins is wrong wherever a start came after the end."""
    sinks = [sink for sink in PYTHON_SINKS if not sink.missing()]
    wrong = await asyncio.gather(*(written(servers, sink, log, tmp_path) for sink in sinks))
    late = last_word_wrong(log.records, log.right)
    assert late > 0
    assert wrong == [late if sink.plain_table else 0 for sink in sinks]


async def test_a_sink_that_ends_says_why(servers: Servers, database_url: str, tmp_path: Path) -> None:
    """A benchmark does not wait for what is no longer there, and shows the end of its log."""
    place = Place(servers.kafka_bootstrap_servers, database_url, ("t",), "g", str(tmp_path))
    async with Running(Script("broken", "with_nothing"), place) as running:
        with pytest.raises(RuntimeError, match=r"broken ended with 1(.|\n)*No module named benchmarks.peers"):
            await running.wait_for([uuid4()], WAIT_SECONDS)


async def test_the_plain_table_has_every_index_of_the_real_one(servers: Servers) -> None:
    """Peers pay for the same secondary indexes."""
    found = []
    for plain in (False, True):
        async with database(servers.database_url, plain=plain) as url:
            connection = await asyncpg.connect(url)
            found.append(
                await connection.fetch(
                    "SELECT indexdef FROM pg_indexes WHERE tablename = 'workflow_executions' ORDER BY indexdef"
                )
            )
            await connection.close()
    assert found[0] == found[1]
    assert len(found[0]) > 10


def last_word_wrong(records: Sequence[Told], right: Mapping[UUID, Answer]) -> int:
    """How many rows are wrong when each record overwrites what the one before said."""
    rows: dict[bytes, Columns] = {}
    for told in records:
        said = columns(told.value)
        rows[told.key] = overwrite(rows[told.key], said) if told.key in rows else said
    return sum(row_answer(row) != right[UUID(key.decode())] for key, row in rows.items())


def row_answer(row: Columns) -> Answer:
    """What a row of texts tells."""
    started, completed = (time and datetime.fromisoformat(time) for time in (row.started_at, row.completed_at))
    duration = None if row.duration_ms is None else int(row.duration_ms)
    return Answer(row.status, started or None, completed or None, duration, row.error_message)


def test_the_truth_is_what_the_workload_was_made_of() -> None:
    """What rows are judged by is what the workload says without any fold: all have ended, one in twenty badly."""
    records = list(workload(200, open_at_once=40))
    right = truth(told.value for told in records)
    assert len(right) == 200
    for told in records:
        answer = right[UUID(told.key.decode())]
        failed = told.execution % 20 == 0
        assert answer.status == ("failed" if failed else "completed")
        assert (answer.duration_ms, answer.error_message) == (5_000, "the card was declined" if failed else None)
        assert answer.started_at is not None
        assert answer.completed_at is not None
        assert (answer.completed_at - answer.started_at).total_seconds() == 5


def test_the_last_word_is_right_where_nothing_is_delayed() -> None:
    """What the peers get wrong is the order alone: they read every event as it is meant."""
    records = list(workload(300, open_at_once=50))
    assert last_word_wrong(records, truth(told.value for told in records)) == 0


def test_delayed_records_are_the_same_records() -> None:
    """Some come later, none is lost, and the others keep their order."""
    records = list(workload(2_000, open_at_once=100))
    later = delayed(records, 450)
    assert later != records
    assert sorted(later) == sorted(records)
    assert delayed(records, 450) == later


def test_flat_records_say_all_that_is_known_and_stand_where_the_events_did() -> None:
    """Debezium's records name every column of the schema, and an end has what its start said."""
    records = delayed(workload(300, open_at_once=50), 200)
    rows = flat(records)
    assert [(told.execution, told.key) for told in rows] == [(told.execution, told.key) for told in records]
    names = [field["field"] for field in orjson.loads(schema())["fields"]]
    for told in rows:
        row = orjson.loads(told.value)
        assert list(row) == names
        assert row["started_at"] is not None
        assert (row["completed_at"] is None) == (row["status"] == "running")
        assert (row["input"], row["created_by"]) != (None, None)
