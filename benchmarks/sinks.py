"""`make bench`: the consumer beside other ways to get the same log into a table.

Every sink gets a topic, a database and a process of its own on the same servers, and the sinks take turns. A first
topic warms it; then the timed one is published at once, and the clock runs until the last row of each partition is in
the table. Afterwards every row is compared with the fold over the log. How it is measured, with which settings, and
what came of it: docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
import uvloop

from benchmarks.peers.connect import Connect
from benchmarks.peers.programs import Consumer, Script
from benchmarks.peers.run import Log, Run, make_log, run
from benchmarks.peers.sink import Sink
from consumer.local.stack import LocalStack

SINKS: dict[str, Sink] = {
    "wex": Consumer(),
    "by-hand": Script("by hand, a commit per event", "by_hand", most_events=2_000),
    "by-hand-behind": Script("by hand, offsets behind", "by_hand", options=("--offsets-behind",), most_events=10_000),
    "faststream": Script("FastStream, executemany", "with_faststream", package="faststream"),
    "librdkafka": Script("librdkafka, COPY and merge", "with_librdkafka", package="confluent_kafka"),
    "debezium": Connect(),
}
# As a server of this size is set: the table fits into memory, and no checkpoint falls into a run.
POSTGRES = {"shared_buffers": "1GB", "max_wal_size": "4GB"}
WARM_FIRST = 50_000_000  # the first execution of the topic that warms
MOST_SECONDS = 120  # for one run; a sink that needs longer is given fewer events

Tell = Callable[[str], None]


@contextmanager
def servers(settings: Mapping[str, str]) -> Iterator[tuple[LocalStack, Path]]:
    """Start Kafka and PostgreSQL in a folder that goes at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="wex-bench-") as folder,
        LocalStack(Path(folder) / "stack") as stack,
    ):
        uvloop.run(put(stack.database_url, settings))
        stack.postgres.stop()
        stack.postgres.start()
        yield stack, Path(folder)


async def put(url: str, settings: Mapping[str, str]) -> None:
    """Give a server settings; some of them hold from its next start on."""
    connection = await asyncpg.connect(url)
    for name, value in settings.items():
        await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


@cache
def timed_log(events: int, as_rows: bool) -> Log:
    """Return the log that is timed, made once."""
    return make_log(events, as_rows=as_rows)


@cache
def warm_log(events: int, as_rows: bool) -> Log:
    """Return the log that warms, made once."""
    return make_log(events, first=WARM_FIRST, as_rows=as_rows)


@dataclass(slots=True)
class Outcome:
    """What became of a sink: its runs, and why there are no more of them, if there could have been."""

    sink: Sink
    runs: list[Run] = field(default_factory=list)
    problem: str = ""

    def latest(self) -> str:
        """Say what became of the last turn."""
        return self.problem or str(_figures(self.runs[-1]))


async def measure(
    stack: LocalStack, folder: Path, sinks: Mapping[str, Sink], events: int, rounds: int, tell: Tell
) -> dict[str, Outcome]:
    """Run the sinks in turns; one that fails is left out from then on."""
    found = {name: Outcome(sink, problem=sink.missing()) for name, sink in sinks.items()}
    for turn in range(rounds):
        for name, outcome in found.items():
            if not outcome.problem:
                await _take_turn(stack, folder, outcome, events)
                tell(f"round {turn + 1}: {name}: {outcome.latest()}")
    return found


async def _take_turn(stack: LocalStack, folder: Path, outcome: Outcome, events: int) -> None:
    sink = outcome.sink
    given = min(events, sink.most_events)
    timed, warm = timed_log(given, sink.flat), warm_log(round(given * sink.warm_share), sink.flat)
    try:
        outcome.runs.append(await run(sink, stack, timed, warm, folder, MOST_SECONDS))
    except RuntimeError as error:
        outcome.problem = str(error)


def _figures(one: Run) -> dict[str, float]:
    figures = one.cost.per_event(one.events)
    together = figures["cpu_us_per_event"] + figures["postgres_cpu_us_per_event"]
    judged = {"wrong_rows": one.wrong, "others_percent": round(one.others_percent)}
    return figures | {"together_us_per_event": round(together, 1)} | judged


def summary(found: Mapping[str, Outcome]) -> list[dict[str, Any]]:
    """Return one item for each sink: medians, and the range of the rate."""
    items: list[dict[str, Any]] = []
    for key, outcome in found.items():
        item = {"sink": key, "name": outcome.sink.name, "runs": len(outcome.runs), "problem": outcome.problem}
        if outcome.runs:
            each = [_figures(one) for one in outcome.runs]
            medians = {name: statistics.median(figures[name] for figures in each) for name in each[0]}
            rates = [figures["events_per_second"] for figures in each]
            item |= {"events": outcome.runs[0].events, "rates": rates} | medians
        items.append(item)
    return items


def table(items: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of results."""
    first = next((item["events_per_second"] for item in items if item["runs"]), 0.0)
    head = f"{'sink':28}{'events/s (least to most)':>27}{'ratio':>7}{'CPU us':>8}{'Postgres':>9}{'together':>9}"
    lines = [head + f"{'peak MiB':>9}{'wrong rows':>11}{'events':>9}{'others':>8}"]
    for item in items:
        if item["runs"]:
            lines.append(_line(item, first))
        if item["problem"]:
            lines.append(f"{item['name']:28}left out after {item['runs']} runs: {item['problem'].splitlines()[0]}")
    return "\n".join(lines)


def _line(item: Mapping[str, Any], first: float) -> str:
    rate = f"{item['events_per_second']:,.0f} ({min(item['rates']):,.0f} to {max(item['rates']):,.0f})"
    return (
        f"{item['name']:28}{rate:>27}{item['events_per_second'] / first:7.2f}{item['cpu_us_per_event']:8.1f}"
        f"{item['postgres_cpu_us_per_event']:9.1f}{item['together_us_per_event']:9.1f}{item['peak_mib']:9.0f}"
        f"{item['wrong_rows']:11,.0f}{item['events']:9,}{item['others_percent']:7.0f}%"
    )


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in SINKS]:
        msg = f"there is no sink {', '.join(unknown)}; there are {', '.join(SINKS)}"
        raise argparse.ArgumentTypeError(msg)
    return names


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--events", type=int, default=200_000, help="in each run (default 200,000)")
    parser.add_argument("--rounds", type=int, default=3, help="of all sinks in turn (default 3)")
    parser.add_argument("--only", type=_names, default=list(SINKS), help=f"some of {','.join(SINKS)}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    sinks = {name: SINKS[name] for name in options.only}

    def tell(line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    with servers(POSTGRES) as (stack, folder):
        found = uvloop.run(measure(stack, folder, sinks, options.events, options.rounds, tell))
    items = summary(found)
    about = {"processors": os.cpu_count(), "rounds": options.rounds, "postgres": POSTGRES}
    sys.stdout.write((json.dumps(about | {"items": items}, indent=2) if options.json else table(items)) + "\n")


if __name__ == "__main__":
    main()
