"""How fast a topic is archived, how much room that takes, and how fast it is read again: `make bench-archive`.

Starts servers of its own and writes lives of three events each. Every step runs in a process of its own, so that its
peak of memory is its own (on Linux).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from consumer.archive.folder import read_archive, survey
from consumer.archive.writing import archive
from consumer.chunk import Span
from consumer.local.stack import LocalStack
from consumer.replay.log_source import LogSource
from consumer.replay.whole_log import WholeLog
from tests.consuming import produce
from tests.replay.load import EVENTS_EACH, records

TOPIC = "benchmark"
PARTITIONS = 8


def write(servers: str, folder: Path) -> None:
    """Archive the topic."""

    async def run() -> None:
        async with LogSource(servers) as source:
            await archive(source, folder, (TOPIC,), accepted={})

    asyncio.run(run())


def read(servers: str, folder: Path | None) -> None:
    """Read every record, of the archive or of the log."""

    async def run() -> None:
        async with WholeLog(servers, folder) as log:
            spans = {name: Span(each.start, each.end) for name, each in (await log.ranges([TOPIC])).items()}
            async for _ in log.read(spans):
                pass

    asyncio.run(run())


def check(_: str, folder: Path) -> None:
    """Read everything, as `wex archive --check` does."""
    assert survey(folder, records=True).problems == []


def timed(work: Callable[[str, Any], None], servers: str, folder: Path | None) -> tuple[float, float]:
    """The seconds that something takes in this process, and the most memory that it has held, in MiB."""
    begun = time.perf_counter()
    work(servers, folder)
    return time.perf_counter() - begun, peak_mib()


def peak_mib() -> float:
    """The most memory that this process has held; what getrusage says begins with that of the process before it."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def apart(work: Callable[[str, Any], None], servers: str, folder: Path | None) -> tuple[float, float]:
    """The same in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(timed, work, servers, folder).result()


def measure(servers: str, folder: Path, events: int) -> dict[str, Any]:
    """Archive and read, and return what was measured."""
    asyncio.run(produce(servers, TOPIC, records(events // EVENTS_EACH), partitions=PARTITIONS))
    found: dict[str, Any] = {"events": events}
    steps: dict[str, tuple[Callable[[str, Any], None], Path | None]] = {
        "archive": (write, folder),
        "check": (check, folder),
        "read_archive": (read, folder),
        "read_log": (read, None),
    }
    for name, (work, of) in steps.items():
        seconds, peak = apart(work, servers, of)
        found |= {f"{name}_per_second": round(events / seconds), f"{name}_peak_mib": round(peak)}
    archived = read_archive(folder).values()
    facts = [each for partition in archived for each in partition.facts]
    assert sum(each.records for each in facts) == events // EVENTS_EACH * EVENTS_EACH
    sizes = (sum(each.value_bytes for each in facts), sum(p.size for a in archived for p in a.parts))
    return found | {
        name: round(size / events, 1) for name, size in zip(("raw_bytes", "file_bytes"), sizes, strict=True)
    }


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wex-bench-") as folder, LocalStack(Path(folder) / "stack") as stack:
        measured = measure(stack.kafka_bootstrap_servers, Path(folder) / "archive", arguments.events)
    print(json.dumps(measured, indent=2))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
