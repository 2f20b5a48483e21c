"""`make bench-quick`: what the hot paths cost per event, in under two minutes, to compare two commits by.

In microseconds of processor time. Machines differ, and so does one machine from minute to minute: a yardstick is
measured in every round, and figures are compared as multiples of it. Those of `figures.json` are kept for comparison.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import uvloop

from benchmarks.core import events, measure, ways
from benchmarks.merging import batches, merge_once
from benchmarks.sinks import POSTGRES, servers
from events import encode

KEPT = Path(__file__).with_name("figures.json")
EXECUTIONS = 1_000  # in the records of the Python paths
BOUND_PERCENT = 15.0

PYTHON_YARDSTICK = "orjson.loads"
POSTGRES_YARDSTICK = "inserts into PostgreSQL"
PYTHON_ROUNDS = 5  # in each round, of which the least counts
# What is printed, and by what it is compared.
PATHS: dict[str, str] = {
    "decode and validate": PYTHON_YARDSTICK,
    "fold": PYTHON_YARDSTICK,
    "states as rows for SQL": PYTHON_YARDSTICK,
    "all the consumer does between Kafka and SQL": PYTHON_YARDSTICK,
    "apply, in the consumer": PYTHON_YARDSTICK,
    "apply, in PostgreSQL": POSTGRES_YARDSTICK,
}


class Figure(NamedTuple):
    """Microseconds per event, the least and the median of all rounds; and how many yardsticks, the median of rounds."""

    least: float
    median: float
    yardsticks: float


def figures(rounds: int) -> dict[str, Figure]:
    """Measure every path in rounds, in each of them also the yardsticks."""
    values = [encode(event) for event in events(EXECUTIONS)]
    over = {name: way for name, way in ways(values).items() if name in PATHS or name == PYTHON_YARDSTICK}
    work = batches()
    measured = []
    with servers(POSTGRES) as (stack, _):
        for _ in range(rounds):
            python = {name: min(times) for name, times in measure(over, len(values), PYTHON_ROUNDS).items()}
            measured.append(python | _merged(uvloop.run(merge_once(stack.database_url, work))))
    return {name: _figure(name, yardstick, measured) for name, yardstick in PATHS.items()}


def _merged(told: Mapping[str, float]) -> dict[str, float]:
    return {
        "apply, in the consumer": told["client"],
        "apply, in PostgreSQL": told["backend"],
        POSTGRES_YARDSTICK: told["yardstick"],
    }


def _figure(name: str, yardstick: str, measured: Sequence[Mapping[str, float]]) -> Figure:
    times = [each[name] for each in measured]
    multiples = [each[name] / each[yardstick] for each in measured]
    return Figure(min(times), statistics.median(times), statistics.median(multiples))


def changes(before: Mapping[str, Figure], after: Mapping[str, Figure]) -> dict[str, float]:
    """Return by how many percent each path costs more than it did, machines being equal."""
    return {
        name: 100 * (figure.yardsticks / before[name].yardsticks - 1)
        for name, figure in after.items()
        if name in before
    }


def kept() -> dict[str, Figure]:
    """Return the figures that the repository keeps."""
    return {name: Figure(**each) for name, each in json.loads(KEPT.read_text()).items()}


def keep(found: Mapping[str, Figure]) -> None:
    """Write them down for later commits."""
    rounded = {name: {unit: round(value, 3) for unit, value in each._asdict().items()} for name, each in found.items()}
    KEPT.write_text(json.dumps(rounded, indent=2) + "\n")


def table(found: Mapping[str, Figure], changed: Mapping[str, float]) -> str:
    """Return what is printed."""
    lines = [f"{'microseconds per event':46}{'least':>7}{'median':>8}{'spread':>8}{'yardsticks':>12}{'change':>9}"]
    for name, figure in found.items():
        spread = f"{100 * (figure.median / figure.least - 1):.0f}%"
        change = f"{changed[name]:+.1f}%" if name in changed else ""
        lines.append(f"{name:46}{figure.least:7.2f}{figure.median:8.2f}{spread:>8}{figure.yardsticks:12.2f}{change:>9}")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and judge if asked to."""
    parser = argparse.ArgumentParser(prog="make bench-quick", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=12, help="of all paths (default 12)")
    parser.add_argument("--compare", action="store_true", help="beside the kept figures; exit 1 if one is worse")
    parser.add_argument("--bound", type=float, default=BOUND_PERCENT, help="percent that a path may cost more")
    parser.add_argument("--keep", action="store_true", help=f"write the figures to {KEPT.name}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found = figures(options.rounds)
    changed = changes(kept(), found) if options.compare else {}
    items = [{"path": name, **figure._asdict(), "change_percent": changed.get(name)} for name, figure in found.items()]
    sys.stdout.write((json.dumps({"items": items}, indent=2) if options.json else table(found, changed)) + "\n")
    if options.keep:
        keep(found)
    worse = sorted(name for name, percent in changed.items() if percent > options.bound)
    if worse:
        sys.stderr.write(f"more than {options.bound:g} % dearer than {KEPT.name} says: {', '.join(worse)}\n")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
