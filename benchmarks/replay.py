"""How fast the log is folded again, beside the live rate of the same run: `make bench-replay`.

Starts servers of its own, writes lives of three events each, applies them with the service, and verifies the table.
Prints rates, ratios to the live rate, and the peak of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from consumer.local.stack import LocalStack
from consumer.replay.rebuild import Rebuild
from consumer.replay.verify import Question, verify
from store import PostgresStore
from store.migrate import migrate
from tests.consuming import make_service, produce
from tests.replay.load import EVENTS_EACH, records

TOPIC = "benchmark"
PARTITIONS = 8


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    """The seconds that something takes."""
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun


def peak_mib() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def run(servers: str, url: str, events: int) -> dict[str, Any]:
    """Apply, then verify, and return what was measured."""
    await migrate(url)
    await produce(servers, TOPIC, records(events // EVENTS_EACH), partitions=PARTITIONS)
    service = make_service(servers, PostgresStore(url), TOPIC, until_caught_up=True)
    live = await timed(service.run)
    after_live = peak_mib()
    found: dict[str, Any] = {"events": events, "live_per_second": round(events / live)}
    for jobs in (1, os.cpu_count() or 1):
        replaying = await timed(Rebuild(servers, url, "tests", jobs=jobs).start)
        await Rebuild(servers, url, "tests").abort()
        verifying = await timed(partial(verify, servers, url, "tests", Question(jobs=jobs), lambda *_: None))
        found |= {
            f"replay_per_second_{jobs}_jobs": round(events / replaying),
            f"replay_to_live_{jobs}_jobs": round(live / replaying, 2),
            f"verify_per_second_{jobs}_jobs": round(events / verifying),
            f"verify_to_live_{jobs}_jobs": round(live / verifying, 2),
        }
    return found | {"peak_mib_live": round(after_live), "peak_mib": round(peak_mib())}


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="wex-bench-") as folder,
        LocalStack(Path(folder)) as stack,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        measured = runner.run(run(stack.kafka_bootstrap_servers, stack.database_url, arguments.events))
    print(json.dumps(measured, indent=2))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
