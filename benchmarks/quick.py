"""`make bench-quick`: what the hot paths cost per event, in under two minutes, to compare two commits by.

The least of many rounds, in microseconds of processor time, so that what else the machine does shows little. The
figures that are kept are those of `figures.json`. Machines differ, and so does one machine from hour to hour: a
yardstick is measured along with each figure, and figures are compared as multiples of it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import uvloop

from benchmarks.core import events, measure, ways
from benchmarks.merging import batches, merge_once
from benchmarks.sinks import POSTGRES, servers
from events import encode

KEPT = Path(__file__).with_name("figures.json")
EXECUTIONS = 1_000  # in the records of the Python paths
BOUND_PERCENT = 10.0

PYTHON_YARDSTICK = "orjson.loads"
POSTGRES_YARDSTICK = "md5 in PostgreSQL"
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
    """Microseconds per event: the least of all rounds, their median, and the yardstick's least (per what it counts)."""

    least: float
    median: float
    yardstick: float

    @property
    def multiple(self) -> float:
        """How many yardsticks it is."""
        return self.least / self.yardstick


def figures(rounds: int) -> dict[str, Figure]:
    """Measure every path."""
    values = [encode(event) for event in events(EXECUTIONS)]
    over = ways(values)
    wanted = {name: way for name, way in over.items() if name in PATHS or name == PYTHON_YARDSTICK}
    measured = measure(wanted, len(values), 5 * rounds)
    work = batches()
    with servers(POSTGRES) as (stack, _):
        merged = [uvloop.run(merge_once(stack.database_url, work)) for _ in range(rounds)]
    measured["apply, in the consumer"] = [each["client"] for each in merged]
    measured["apply, in PostgreSQL"] = [each["backend"] for each in merged]
    measured[POSTGRES_YARDSTICK] = [each["yardstick"] for each in merged]
    return {
        name: Figure(min(measured[name]), statistics.median(measured[name]), min(measured[yardstick]))
        for name, yardstick in PATHS.items()
    }


def changes(before: Mapping[str, Figure], after: Mapping[str, Figure]) -> dict[str, float]:
    """Return by how many percent each path costs more than it did, machines being equal."""
    return {
        name: 100 * (figure.multiple / before[name].multiple - 1) for name, figure in after.items() if name in before
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
        lines.append(f"{name:46}{figure.least:7.2f}{figure.median:8.2f}{spread:>8}{figure.multiple:12.2f}{change:>9}")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and judge if asked to."""
    parser = argparse.ArgumentParser(prog="make bench-quick", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=12, help="of PostgreSQL; of Python five times as many")
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
