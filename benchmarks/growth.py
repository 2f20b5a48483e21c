"""How the cost of an event grows: `make bench-growth`.

`wex consume`, as it is shipped, drains the log of `make bench` in one way after another: into a table that is empty or
full, with payloads from 0.2 to 20 kB, from 1 to 64 partitions, by one process or several of one group. One thing is
changed at a time; the first line is what the ratios are of, and is measured again as the last: the two tell how quiet
the machine was. At last, what a consumer takes that has nothing to do.

Into a full table everything is new, as it is in life: the rows that are there are those of `make bench-reads`, made by
PostgreSQL itself (a minute for a million, more than half an hour for ten).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import uvloop

from benchmarks.peers.held_log import HeldLog, make_topics
from benchmarks.peers.programs import Consumer
from benchmarks.peers.run import make_log, postgres_pid, run
from benchmarks.peers.sink import Place, Running
from benchmarks.peers.table import database
from benchmarks.sinks import MOST_SECONDS, POSTGRES, WARM_FIRST, put, servers
from benchmarks.table import table
from consumer.local.stack import LocalStack

EVENTS = 100_000
LOG_BYTES_MAX = 500_000_000  # of a log: with long payloads there are fewer events
RECORD_BYTES = 650  # of a record with payloads of 0.2 kB
WARM_SHARE = 0.05
IDLE_SECONDS = 30
SEED = 0


@dataclass(frozen=True, slots=True)
class Case:
    """A way to drain a log.

    Attributes:
        rows: that are in the table before.
        more_bytes: by which inputs and outputs are longer.
        processes: consumers of the group.
    """

    name: str
    rows: int = 0
    more_bytes: int = 0
    partitions: int = 8
    processes: int = 1

    def events(self, most: int) -> int:
        """Return how many events it is given."""
        return min(most, LOG_BYTES_MAX // (RECORD_BYTES + self.more_bytes))


BASE = Case("8 partitions, 0.2 kB, empty table")
CASES = {
    "base": [BASE],
    "rows": [replace(BASE, name=f"{rows:,} rows before", rows=rows) for rows in (1_000_000, 10_000_000)],
    "payloads": [
        replace(BASE, name=f"payloads of {kilobytes} kB", more_bytes=kilobytes * 1_000 - 200) for kilobytes in (2, 20)
    ],
    "partitions": [replace(BASE, name=f"{partitions} partitions", partitions=partitions) for partitions in (1, 64)],
    "processes": [replace(BASE, name=f"{processes} processes", processes=processes) for processes in (2, 4)],
    "again": [replace(BASE, name="the first once more")],
}


async def measure(stack: LocalStack, folder: Path, cases: Sequence[Case], events: int) -> list[dict[str, Any]]:
    """Drain in each way, and return what it took."""
    found = []
    for case in cases:
        item = await _drain(stack, folder, case, case.events(events))
        _tell(f"{case.name}: {item}")
        found.append(item)
    return found


async def _drain(stack: LocalStack, folder: Path, case: Case, events: int) -> dict[str, Any]:
    template = ""
    if case.rows:
        template = urlsplit((await table(stack.database_url, case.rows, SEED, _tell)).url).path[1:]
        await put(stack.database_url, POSTGRES)  # what made the table had settings of its own, and took them back
    shaped = partial(make_log, more_bytes=case.more_bytes, partitions=case.partitions)
    log, warm = shaped(events), shaped(round(events * WARM_SHARE), first=WARM_FIRST)
    one = await run(Consumer(case.processes), stack, log, warm, folder, MOST_SECONDS, template=template)
    assert not one.wrong, "the consumer is right, however it is run"
    return {
        "case": case.name,
        "events": one.events,
        **one.cost.per_event(one.events),
        "others_percent": one.others_percent,
    }


async def idle(stack: LocalStack, folder: Path) -> dict[str, float]:
    """Return what a consumer and PostgreSQL take in a second in which there is nothing to do."""
    name = uuid4().hex[:8]
    log = make_log(1_000)
    await make_topics(stack.kafka_bootstrap_servers, [name])
    async with database(stack.database_url, plain=False) as url:
        place = Place(stack.kafka_bootstrap_servers, url, (name,), f"group-{name}", str(folder))
        async with HeldLog(place.servers, name, log.records) as held, Running(Consumer(), place) as running:
            await held.publish()
            await running.wait_for(log.last, MOST_SECONDS)
            await asyncio.sleep(IDLE_SECONDS / 5)
            window = running.meter(postgres_pid(stack))
            await asyncio.sleep(IDLE_SECONDS)
            cost = window.close()
    return {
        "cpu_ms_per_second": round(cost.cpu_seconds / cost.seconds * 1_000, 1),
        "postgres_cpu_ms_per_second": round(cost.server_cpu_seconds / cost.seconds * 1_000, 1),
        "peak_mib": round(cost.peak_mib),
    }


def as_text(items: Sequence[Mapping[str, Any]], idling: Mapping[str, float]) -> str:
    """Return the table that people read."""
    lines = [
        f"{'':36}{'events/s':>10}{'ratio':>7}{'CPU us':>8}{'Postgres':>9}{'peak MiB':>9}{'events':>9}{'others':>8}"
    ]
    lines += [
        f"{item['case']:36}{item['events_per_second']:10,.0f}"
        f"{item['events_per_second'] / items[0]['events_per_second']:7.2f}{item['cpu_us_per_event']:8.1f}"
        f"{item['postgres_cpu_us_per_event']:9.1f}{item['peak_mib']:9.0f}{item['events']:9,}{item['others_percent']:7.0f}%"
        for item in items
    ]
    spent, served = idling["cpu_ms_per_second"], idling["postgres_cpu_ms_per_second"]
    lines.append(f"idle: {spent} ms of a processor in a second, PostgreSQL {served} ms; {idling['peak_mib']} MiB")
    return "\n".join(lines)


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS, help="in each log (default 100,000)")
    parser.add_argument("--rows-max", type=int, default=1_000_000, help="in a table that is full (default a million)")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES), help="what is changed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    cases = [case for name in options.only for case in CASES[name] if case.rows <= options.rows_max]

    async def all_of_it(stack: LocalStack, folder: Path) -> tuple[list[dict[str, Any]], dict[str, float]]:
        return await measure(stack, folder, cases, options.events), await idle(stack, folder)

    with servers(POSTGRES) as (stack, folder):
        items, idling = uvloop.run(all_of_it(stack, folder))
    about = {"processors": os.cpu_count(), "postgres": POSTGRES, "items": items, "idle": idling}
    sys.stdout.write((json.dumps(about, indent=2) if options.json else as_text(items, idling)) + "\n")


if __name__ == "__main__":
    main()
