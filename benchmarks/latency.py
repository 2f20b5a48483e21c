"""How long after publishing an event is committed, and seen: `make bench-latency`.

Starts servers of its own and `wex consume` as it is shipped, and publishes at 500, 2,000 and 5,000 events per second.
Everything runs on this one machine, so that one clock tells all times. Prints median, 99th percentile and longest, in
milliseconds, from the moment just before an event is handed to the Kafka client until

committed: PostgreSQL committed the last change of its row (`pg_xact_commit_timestamp`), for every end of an execution;
seen by id: a client that looks for the row, once a millisecond, finds it;
own write: publishing was acknowledged, and a reader with `at_least` has answered: what a user waits who wants to see
what he did. `missing` counts answers that lacked it, which must not be.

With `--beside`, other sinks (benchmarks/peers) take their turns on the same servers with the same load, each with a
topic and a plain table of its own; of them the first is told, which asks PostgreSQL alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg

from benchmarks.load import Load, Published, publish
from benchmarks.peers.held_log import HeldLog, make_topics
from benchmarks.peers.run import make_log
from benchmarks.peers.sink import Place, Running, Sink
from benchmarks.peers.table import database
from benchmarks.sinks import SINKS, WARM_FIRST
from consumer.local.stack import LocalStack
from consumer.replay.processes import in_processes
from events import RunRef
from events.publisher import ExecutionPublisher, ensure_topics
from store import ExecutionReader

TOPIC = "latency"
PARTITIONS = 8
RATES = (500, 2_000, 5_000)
READERS = 4  # who publish and wait for their own write, at once
LOOKERS = 2  # who publish and look for the row
THINK_SECONDS = 0.05  # what each of them waits before the next
LOOK_SECONDS = 0.001
GIVE_UP_SECONDS = 60.0
SETTLE_SECONDS = 1.0
LATE_SECONDS = 0.1
WARM_EVENTS = 20_000
WARM_SECONDS = 180.0  # a Java, on a busy machine
SEEN = "SELECT 1 FROM workflow_executions WHERE id = $1"
# Every row that has ended, and when its last change was committed.
COMMITTED = """
SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 AS at
FROM workflow_executions WHERE completed_at IS NOT NULL
"""

Answer = dict[str, Any]


class Measured(NamedTuple):
    """A program that runs, and brings the records of a topic into a table.

    Attributes:
        watched: whether a client also looks for rows and waits for its own writes, which takes events and positions.
        flat: whether it reads rows in place of events.
    """

    name: str
    database_url: str
    topic: str
    watched: bool = False
    flat: bool = False


@asynccontextmanager
async def shipped(stack: LocalStack) -> AsyncIterator[Measured]:
    """Run `wex consume`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEX_")}
    settings = {
        "WEX_KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap_servers,
        "WEX_DATABASE_URL": stack.database_url,
        "WEX_TOPICS": TOPIC,
    }
    command = [sys.executable, "-m", "consumer", "consume", "--migrate", "--http-port", "off"]
    await ensure_topics(stack.kafka_bootstrap_servers, [TOPIC], partitions=PARTITIONS)
    with (stack.data_dir / "consume.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment | settings, stdout=log, stderr=log)  # noqa: ASYNC220, S603 - returns at once; this interpreter, with our own arguments
        try:
            await _ready(stack)
            yield Measured("wex consume", stack.database_url, TOPIC, watched=True)
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, 30)


@asynccontextmanager
async def beside(stack: LocalStack, sink: Sink) -> AsyncIterator[Measured]:
    """Run another sink, warmed."""
    servers, name = stack.kafka_bootstrap_servers, uuid4().hex[:8]
    topics = (f"warm-{name}", f"latency-{name}")
    await make_topics(servers, topics)
    warm = make_log(WARM_EVENTS, first=WARM_FIRST, as_rows=sink.flat)
    async with database(stack.database_url, plain=sink.plain_table) as url:
        place = Place(servers, url, topics, f"group-{name}", str(stack.data_dir))
        async with HeldLog(servers, topics[0], warm.records) as held, Running(sink, place) as running:
            await held.publish()
            await running.wait_for(warm.last, WARM_SECONDS)
            yield Measured(sink.name, url, topics[1], flat=sink.flat)


class Watching:
    """Publishes and looks for what it published, until it is told to stop."""

    def __init__(self, stack: LocalStack, label: str) -> None:
        self.seen: list[float] = []
        self.own: list[float] = []
        self.missing = 0
        self._stack, self._label = stack, label
        self._over = asyncio.Event()
        self._count = 0

    async def watch(self) -> None:
        """Do so from as many tasks as there are to be."""
        servers = self._stack.kafka_bootstrap_servers
        async with (
            ExecutionPublisher(bootstrap_servers=servers, source="/latency", topic=TOPIC) as publisher,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(LOOKERS):
                group.create_task(self._look(publisher))
            group.create_task(self._read(publisher))

    def stop(self) -> None:
        """End after what is under way."""
        self._over.set()

    def forget(self) -> None:
        """Let only what comes from here on count."""
        self.seen.clear()
        self.own.clear()

    def _run(self) -> RunRef:
        self._count += 1
        return RunRef("watched", f"watched-{self._label}-{self._count}", "run-1")

    async def _look(self, publisher: ExecutionPublisher) -> None:
        connection = await asyncpg.connect(self._stack.database_url)
        while not self._over.is_set():
            run, began = self._run(), time.perf_counter()
            publishing = asyncio.ensure_future(publisher.started(run))
            await found(connection, run.id)
            self.seen.append(time.perf_counter() - began)
            await publishing
            await asyncio.sleep(THINK_SECONDS)
        await connection.close()

    async def _read(self, publisher: ExecutionPublisher) -> None:
        async with ExecutionReader.connect(self._stack.database_url) as reader, asyncio.TaskGroup() as group:
            for _ in range(READERS):
                group.create_task(self._read_own(publisher, reader))

    async def _read_own(self, publisher: ExecutionPublisher, reader: ExecutionReader) -> None:
        while not self._over.is_set():
            run = self._run()
            for verb, status in ((publisher.started, "running"), (publisher.completed, "completed")):
                began = time.perf_counter()
                position = await verb(run)
                answer = await reader.get_by_id(run.id, at_least=position, timeout=GIVE_UP_SECONDS)
                self.own.append(time.perf_counter() - began)
                self.missing += answer is None or answer.status != status
                await asyncio.sleep(THINK_SECONDS)


async def found(connection: asyncpg.Connection[asyncpg.Record], id_: UUID) -> None:
    """Return as soon as a row is there."""
    end = time.monotonic() + GIVE_UP_SECONDS
    while await connection.fetchval(SEEN, id_) is None:
        if time.monotonic() > end:
            msg = f"{id_} was published and does not come into the table"
            raise TimeoutError(msg)
        await asyncio.sleep(LOOK_SECONDS)


async def measure(stack: LocalStack, sinks: Mapping[str, Sink], rates: Sequence[int], seconds: float) -> list[Answer]:
    """Return what each rate gave, of the consumer and then of each other sink."""
    answers = await _at_each(stack, shipped(stack), rates, seconds)
    for name, sink in sinks.items():
        if problem := sink.missing():
            sys.stderr.write(f"{name} is left out: {problem}\n")
        else:
            answers += await _at_each(stack, beside(stack, sink), rates, seconds)
    return answers


async def _at_each(
    stack: LocalStack, running: AbstractAsyncContextManager[Measured], rates: Sequence[int], seconds: float
) -> list[Answer]:
    answers = []
    async with running as measured:
        for number, rate in enumerate(rates):
            first = number * 10_000_000
            load = Load(
                stack.kafka_bootstrap_servers,
                measured.topic,
                PARTITIONS,
                rate,
                seconds,
                seconds / 4,
                first,
                measured.flat,
            )
            answers.append(await _at(stack, measured, load))
            sys.stderr.write(f"{answers[-1]}\n")
    return answers


async def _at(stack: LocalStack, measured: Measured, load: Load) -> Answer:
    watching, task = Watching(stack, str(load.rate)), None
    if measured.watched:
        task = asyncio.create_task(watching.watch())
    forgetting = asyncio.get_running_loop().call_later(load.warming + SETTLE_SECONDS, watching.forget)
    try:
        [published] = await in_processes(publish, [load])
    finally:
        forgetting.cancel()
        watching.stop()
        if task is not None:
            await task
    committed = await _committed(measured.database_url, published)
    answer = {
        "sink": measured.name,
        "rate": load.rate,
        "events": published.events,
        "behind_seconds": published.behind,
        "committed": _told(committed),
    }
    if measured.watched:
        answer |= {"seen by id": _told(watching.seen), "own write": _told(watching.own), "missing": watching.missing}
    return answer


async def _committed(url: str, published: Published) -> list[float]:
    """Wait until everything is there, and return how long each end took."""
    connection = await asyncpg.connect(url)
    end = time.monotonic() + GIVE_UP_SECONDS
    while True:
        at = {UUID(int=row["id"].int): row["at"] for row in await connection.fetch(COMMITTED)}
        if published.ended.keys() <= at.keys() or time.monotonic() > end:
            break
        await asyncio.sleep(SETTLE_SECONDS)
    await connection.close()
    if lost := len(published.ended.keys() - at.keys()):
        msg = f"{lost} executions that ended are not in the table"
        raise TimeoutError(msg)
    return [at[id_] - published_at for id_, published_at in published.ended.items()]


async def _ready(stack: LocalStack) -> None:
    """Wait until the first event has come through."""
    run = RunRef("watched", "first", "run-1")
    async with ExecutionPublisher(
        bootstrap_servers=stack.kafka_bootstrap_servers, source="/latency", topic=TOPIC
    ) as publisher:
        await publisher.started(run)
    connection = await asyncpg.connect(stack.database_url)
    end = time.monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            await found(connection, run.id)
        except asyncpg.UndefinedTableError:  # not migrated yet
            if time.monotonic() > end:
                raise
            await asyncio.sleep(LOOK_SECONDS)
        else:
            return await connection.close()


def _told(took: Sequence[float]) -> dict[str, float]:
    ordered = sorted(1_000 * each for each in took)
    ranks = {"p50": 0.5, "p99": 0.99, "longest": 1.0}
    figures = {name: round(ordered[-int(-share * len(ordered) // 1) - 1], 1) for name, share in ranks.items()}
    return {"asked": len(ordered), **figures}


async def note_commits(stack: LocalStack) -> None:
    """Let PostgreSQL keep when each transaction was committed, from its next start on."""
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    await connection.close()
    stack.postgres.stop()
    stack.postgres.start()


def as_text(answers: Sequence[dict[str, Any]]) -> str:
    """Return the table that people read."""
    lines = [f"{'sink':<28}{'events/s':>8}  {'':<11}{'asked':>8}{'p50':>9}{'p99':>9}{'longest':>9}"]
    for each in answers:
        for name in ("committed", "seen by id", "own write"):
            if (told := each.get(name)) is not None:
                figures = "".join(f"{told[column]:>9}" for column in ("p50", "p99", "longest"))
                lines.append(f"{each['sink']:<28}{each['rate']:>8}  {name:<11}{told['asked']:>8}{figures}")
        if each.get("missing"):
            lines.append(f"{each['missing']} answers lacked what was published before")
        if each["behind_seconds"] > LATE_SECONDS:
            lines.append(f"the load was {each['behind_seconds']} s late at the end: this rate was not kept")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=int, nargs="+", default=list(RATES), help="events per second")
    parser.add_argument("--seconds", type=float, default=20.0, help="that count, at each rate; a quarter more warms")
    names = [name for name in SINKS if name != "wex"]
    parser.add_argument("--beside", nargs="*", choices=names, default=[], help="other sinks, in turns")
    parser.add_argument("--json", action="store_true", help="print one object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wex-bench-") as folder, LocalStack(Path(folder)) as stack:
        asyncio.run(note_commits(stack))
        others = {name: SINKS[name] for name in options.beside}
        answers = asyncio.run(measure(stack, others, options.rates, options.seconds))
    sys.stdout.write((json.dumps({"items": answers}, indent=2) if options.json else as_text(answers)) + "\n")
    if any(each.get("missing") for each in answers):
        sys.exit(4)


if __name__ == "__main__":
    main()
