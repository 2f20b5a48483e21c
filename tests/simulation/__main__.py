"""`make simulate`: the consumer under as many seeds as wanted; the first that fails is told step by step."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.search import run

TELL_EVERY = 1_000


def main() -> int:
    """Run the seeds; exit 1 at the first that fails."""
    parser = argparse.ArgumentParser(description="Run the consumer's core under every order that a seed can make.")
    parser.add_argument("--seeds", type=int, default=20_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    options = parser.parse_args()
    began = time.monotonic()
    for count, seed in enumerate(range(options.first, options.first + options.seeds), 1):
        if (failure := run(seed)) is not None:
            sys.stdout.write(failure.story)
            return 1
        if count % TELL_EVERY == 0 or count == options.seeds:
            rate = count / (time.monotonic() - began)
            sys.stdout.write(f"{count:,} seeds, {rate:.0f} a second\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
