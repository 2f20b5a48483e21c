"""`make chaos`: a campaign of faults against real parts, and a verdict.

    python -m tests.chaos --minutes 10 --seed 7 --json verdict.json

The exit code is 0 if every oracle is content and 1 if not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chaos import campaign
from tests.chaos.faults import BY_NAME


def main() -> int:
    """Run one campaign as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Fault the consumers, and judge.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to produce and to fault")
    parser.add_argument("--seed", type=int, default=None, help="decides which faults come when; another each time")
    parser.add_argument("--json", type=Path, default=None, help="write the whole verdict into this file")
    parser.add_argument("--keep", type=Path, default=None, help="work in this folder and leave it, logs and all")
    parser.add_argument("--weakened", action="store_true", help="leave out the guard, which must be found out")
    parser.add_argument("--only", action="append", choices=sorted(BY_NAME), default=[], help="draw this fault; repeat")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    began = time.monotonic()

    def report(line: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - began:5.0f} s] {line}\n")
        sys.stdout.flush()

    try:
        verdict = asyncio.run(
            campaign.run(
                minutes=options.minutes,
                seed=seed,
                report=report,
                weakened=options.weakened,
                only=options.only,
                keep=options.keep,
            )
        )
    except KeyboardInterrupt:
        sys.stdout.write("stopped; everything is torn down\n")
        return 130
    if options.json is not None:
        options.json.write_text(json.dumps(verdict, indent=2, default=str) + "\n")
    sys.stdout.write(shown(verdict))
    return 0 if verdict["passed"] else 1


def shown(verdict: Mapping[str, Any]) -> str:
    """The verdict for people: each oracle with its counts, and what is wrong."""
    lines = ["", "faults: " + ", ".join(f"{name} {n}" for name, n in verdict["faults by kind"].items())]
    for name, finding in verdict["oracles"].items():
        counts = ", ".join(f"{key} {value}" for key, value in finding.items() if key not in ("passed", "wrong"))
        lines.append(f"{'ok   ' if finding['passed'] else 'WRONG'} {name}: {counts}")
        lines += [f"        {wrong}" for wrong in finding["wrong"]]
    lines.append(f"{'PASSED' if verdict['passed'] else 'FAILED'} with seed {verdict['seed']}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
