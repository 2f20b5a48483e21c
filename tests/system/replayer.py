"""A replay that stops at a step and waits there, to be killed: `replayer.py SERVERS URL COMMAND STEP`.

It says the step on standard output, and goes on when it gets a line.
"""

from __future__ import annotations

import asyncio
import sys

from consumer.replay import folding, log_source
from consumer.replay.rebuild import Rebuild
from store.replays import Step

MIDDLE = "middle"  # of folding: after some chunks, before the last


def wait(at: str) -> None:
    """Say where we are, and wait for a line."""
    sys.stdout.write(f"{at}\n")
    sys.stdout.flush()
    sys.stdin.readline()


async def main(servers: str, url: str, command: str, step: str) -> None:
    """Run a command of a replay, and wait at a step of it."""
    folding.CHUNK_RECORDS = log_source.RECORDS_MAX = 20

    def reached(now: Step) -> None:
        if now == step:
            wait(now)

    waited = False

    def told(folded: folding.Folded, total: int) -> None:
        nonlocal waited
        if step == MIDDLE and folded.records < total and not waited:
            waited = True
            wait(MIDDLE)

    rebuild = Rebuild(servers, url, "tests", told=told, reached=reached)
    await (rebuild.start() if command == "start" else rebuild.swap())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
