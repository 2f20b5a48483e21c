"""How fast the log is folded again, beside the live rate of the same run: `make bench-replay`.

Starts servers of its own, writes a workload, and runs the commands as they are shipped, each in a process of its own:
`wex consume` drains the topic, then the table is rebuilt and verified, by one process and by one for each processor.
Prints rates, ratios to the live rate, processor time per event and the peak of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from aiokafka import AIOKafkaProducer

from benchmarks.metering import Cost, run_wex
from benchmarks.workload import EVENTS_EACH, workload
from consumer.local.stack import LocalStack
from consumer.replay.processes import in_processes
from events.publisher import ensure_topics

TOPIC = "benchmark"
PARTITIONS = 8
PRODUCERS = 2  # each writes every second partition
AT_ONCE = 2_000  # records of each on their way to the broker


async def produce(servers: str, executions: int) -> int:
    """Write the workload, all records of an execution into one partition, and return how many records there are."""
    await ensure_topics(servers, [TOPIC], partitions=PARTITIONS)
    share = -(-executions // PRODUCERS)
    parts = [Part(servers, number * share, share, number) for number in range(PRODUCERS)]
    return sum(await in_processes(produce_part, parts))


class Part(NamedTuple):
    """Some executions, for a process that writes into every so manyth partition."""

    servers: str
    first: int
    executions: int
    number: int


async def produce_part(part: Part) -> int:
    """Write a part of the workload."""
    producer = AIOKafkaProducer(bootstrap_servers=part.servers, linger_ms=5)
    await producer.start()
    count, told = 0, workload(part.executions, first=part.first, seed=part.number)
    try:
        while some := list(islice(told, AT_ONCE)):
            into = [PRODUCERS * (each.execution % (PARTITIONS // PRODUCERS)) + part.number for each in some]
            sent = [
                await producer.send(TOPIC, each.value, key=each.key, partition=partition)
                for each, partition in zip(some, into, strict=True)
            ]
            await asyncio.gather(*sent)
            count += len(some)
    finally:
        await producer.stop()
    return count


def measure(stack: LocalStack, executions: int, most_jobs_alone: bool) -> dict[str, Any]:
    """Return what each command did with the workload."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        count = runner.run(produce(stack.kafka_bootstrap_servers, executions))
    found: dict[str, Any] = {"events": count, "executions": executions}
    live = _wex(stack, "consume", "--migrate", "--until-caught-up", "--http-port", "off")
    found["live"] = _told("live", live.per_event(count))
    most = os.cpu_count() or 1
    for jobs in [most] if most_jobs_alone else sorted({1, most}):
        for command in (("replay", "start"), ("verify",)):
            cost = _wex(stack, *command, "--jobs", str(jobs))
            name = f"{command[0]} --jobs {jobs}"
            found[name] = _told(name, cost.per_event(count) | {"to_live": round(live.seconds / cost.seconds, 2)})
        _wex(stack, "replay", "abort")
    return found


def _told(name: str, figures: dict[str, float]) -> dict[str, float]:
    sys.stderr.write(f"{name}: {figures}\n")
    return figures


def _wex(stack: LocalStack, *arguments: str) -> Cost:
    settings = {
        "WEX_KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap_servers,
        "WEX_DATABASE_URL": stack.database_url,
        "WEX_TOPICS": TOPIC,
    }
    pid = int((stack.postgres.folder / "postmaster.pid").read_text().split()[0])
    return run_wex(arguments, settings, pid)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--most-jobs-alone", action="store_true", help="leave out what one process does")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wex-bench-") as folder, LocalStack(Path(folder)) as stack:
        measured = measure(stack, round(arguments.events / EVENTS_EACH), arguments.most_jobs_alone)
    sys.stdout.write(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
