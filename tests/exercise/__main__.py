"""`make exercise`: plays six incidents, and says of each what tells it, what the runbook does, and what is left."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from consumer.local.stack import LocalStack
from tests import promtool
from tests.consuming import fetch
from tests.exercise import incidents
from tests.exercise.incidents import SMALL, Play, small_disk
from tests.exercise.scene import Outcome, Scene

Report = Callable[[str], None]


def play_all(tool: Path, report: Report) -> list[Outcome]:
    """Play all incidents, those beside each other that do not need the servers to go away."""
    with tempfile.TemporaryDirectory(prefix="wex-exercise-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        with LocalStack(folder / "stack") as stack, small_disk(folder, stack) as disk:
            return asyncio.run(_play_on(stack, disk, tool, report))


async def _play_on(stack: LocalStack, disk: Path | None, tool: Path, report: Report) -> list[Outcome]:
    async def play(name: str, incident: Play, tablespace: str = "") -> Outcome:
        began = time.monotonic()
        async with Scene(name, stack, tool, tablespace=tablespace) as scene:
            await incident(scene)
        report("\n".join([f"\n== {name}", *scene.outcome.lines, f"  {time.monotonic() - began:.0f} s in all"]))
        return scene.outcome

    async with asyncio.TaskGroup() as tasks:
        stuck = tasks.create_task(play("stuck loop", incidents.stuck_loop))  # which takes longest
        beside = [
            tasks.create_task(play("recreated topic", incidents.recreated_topic)),
            tasks.create_task(play("poison flood", incidents.poison_flood)),
        ]
        if disk is None:
            report("\n== disk full\n  left out: no disk can be mounted here")
        else:
            await fetch(stack.database_url, f"CREATE TABLESPACE {SMALL} LOCATION '{disk}'")
            beside.append(tasks.create_task(play("disk full", partial(incidents.disk_full, disk=disk), SMALL)))
        outcomes = [await each for each in beside]
        outcomes.append(await play("database gone", incidents.database_gone))
        outcomes.append(await play("lost partition", incidents.lost_partition))
        return [*outcomes, await stuck]


def main() -> int:
    """Play them as the command line says."""
    tool = promtool.promtool()
    if tool is None:
        sys.stderr.write("The rules are judged by Prometheus' own promtool: put it on PATH (Debian: prometheus).\n")
        return 1
    began = time.monotonic()

    def report(lines: str) -> None:
        sys.stdout.write(lines + "\n")
        sys.stdout.flush()

    report("Six incidents on real servers; for the rules a second counts as a minute.")
    outcomes = play_all(tool, report)
    report(f"\n{len(outcomes)} incidents played in {time.monotonic() - began:.0f} s; nothing lost in any")
    return 0


if __name__ == "__main__":
    sys.exit(main())
