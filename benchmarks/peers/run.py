"""One run of one sink: its log, its database, what it took, and which rows it got wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import psutil

from benchmarks.metering import Cost, family_seconds
from benchmarks.peers.flat import flat
from benchmarks.peers.held_log import PARTITIONS, HeldLog, drop_topics, make_topics
from benchmarks.peers.sink import Place, Running, Sink
from benchmarks.peers.table import Answer, database, truth, wrong_rows
from benchmarks.workload import EVENTS_EACH, OPEN_AT_ONCE, REDELIVERED, Told, workload
from consumer.local.stack import LocalStack

EVENTS_PER_EXECUTION = EVENTS_EACH * (1 + REDELIVERED)
DELAYED = 0.01  # of all records; half of the starts among them come after the end
START_SECONDS = 90  # a Java on a busy machine, and what warms it
SETTLE_SECONDS = 1.0  # from the last row of the first topic to the clock: offsets are committed, the heap is tidied


@dataclass(frozen=True, slots=True)
class Log:
    """Records, and what is right about them.

    Attributes:
        records: in the order in which they were produced.
        last: for each partition the execution of its last record.
        right: what the fold makes of them, for each execution.
    """

    records: Sequence[Told]
    last: Sequence[UUID]
    right: Mapping[UUID, Answer]

    def __len__(self) -> int:
        return len(self.records)


def make_log(
    events: int, *, first: int = 0, as_rows: bool = False, more_bytes: int = 0, partitions: int = PARTITIONS
) -> Log:
    """Return a log of about so many events, with one more execution at the end of each partition."""
    executions = max(1, round(events / EVENTS_PER_EXECUTION))
    open_at_once = min(OPEN_AT_ONCE, max(1, executions // 4))  # or a short log would be nothing but starts
    beyond = first + executions
    last = [next(workload(1, first=number)) for number in range(beyond, beyond + partitions)]
    life = round(open_at_once * EVENTS_PER_EXECUTION)
    told = workload(executions, first=first, open_at_once=open_at_once, more_bytes=more_bytes)
    records = [*delayed(told, 2 * life), *last]
    right = truth(each.value for each in records)
    return Log(flat(records) if as_rows else records, [UUID(told.key.decode()) for told in last], right)


def delayed(records: Iterable[Told], most: int) -> list[Told]:
    """Let some records come up to so many places later than they should, as a publisher that tries again has them."""
    random = Random(0)  # noqa: S311 - a draw that can be repeated
    placed = [
        (place + (random.randint(1, most) if random.random() < DELAYED else 0), place, told)
        for place, told in enumerate(records)
    ]
    return [told for _, _, told in sorted(placed)]


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured.

    Attributes:
        events: how many were timed.
        wrong: rows that tell something else than the fold.
        others_percent: how much of the machine neither the sink nor its servers took.
    """

    events: int
    cost: Cost
    wrong: int
    others_percent: float


async def run(
    sink: Sink, stack: LocalStack, log: Log, warm: Log, folder: Path, most_seconds: float, *, template: str = ""
) -> Run:
    """Run a sink over a log, into an empty database or a copy of a template.

    Raises:
        RuntimeError: it ended, or took longer than that.
    """
    name = uuid4().hex[:8]
    servers, topics = stack.kafka_bootstrap_servers, (f"warm-{name}", f"timed-{name}")
    partitions = len(log.last)
    await make_topics(servers, topics, partitions)
    async with database(stack.database_url, plain=sink.plain_table, template=template) as url:
        async with HeldLog(servers, topics[0], warm.records, partitions) as first:
            await first.publish()
        place = Place(servers, url, topics, f"group-{name}", str(folder))
        async with HeldLog(servers, topics[1], log.records, partitions) as timed, Running(sink, place) as running:
            await running.wait_for(warm.last, START_SECONDS + most_seconds)
            await asyncio.sleep(SETTLE_SECONDS)
            clock = Clock(running, stack)
            await timed.publish()
            await running.wait_for(log.last, most_seconds)
            cost, others = clock.stop()
        wrong = await wrong_rows(url, log.right)
    await drop_topics(servers, topics)
    return Run(len(log), cost, wrong, others)


class Clock:
    """Measures a sink, its servers, and what the rest of the machine does meanwhile."""

    def __init__(self, running: Running, stack: LocalStack) -> None:
        broker = stack.kafka.identity
        assert broker is not None, "the broker runs"
        self._broker = broker.pid
        self._window = running.meter(postgres_pid(stack))
        self._busy, self._known = _busy_seconds(), self._known_seconds()

    def stop(self) -> tuple[Cost, float]:
        """Return what the sink and PostgreSQL took, and the percentage of the machine that others took."""
        cost = self._window.close()
        known = self._known_seconds() - self._known + cost.cpu_seconds + cost.server_cpu_seconds
        others = _busy_seconds() - self._busy - known
        return cost, max(0.0, 100 * others / cost.seconds / (psutil.cpu_count() or 1))

    def _known_seconds(self) -> float:
        """Return what Kafka and this process have spent."""
        own = psutil.Process().cpu_times()
        return family_seconds(self._broker) + float(own.user + own.system)


def postgres_pid(stack: LocalStack) -> int:
    """Return the process of the server."""
    return int((stack.postgres.folder / "postmaster.pid").read_text().split()[0])


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))
