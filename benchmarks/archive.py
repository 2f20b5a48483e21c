"""How fast topics are archived, how much room that takes, and how fast they are verified from it: `make bench-archive`.

Starts servers of its own, writes the workload of the other benchmarks, and runs the commands as they are shipped, each
in a process of its own. Verifying reads the log alone first, then the archive.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.metering import run_wex
from benchmarks.replay import TOPIC, produce
from benchmarks.workload import EVENTS_EACH
from consumer.archive.folder import read_archive
from consumer.local.stack import LocalStack


def measure(stack: LocalStack, executions: int, folder: str) -> dict[str, Any]:
    """Return what each command did with the workload."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        count = runner.run(produce(stack.kafka_bootstrap_servers, executions))
    settings = {
        "WEX_KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap_servers,
        "WEX_DATABASE_URL": stack.database_url,
        "WEX_TOPICS": TOPIC,
    }
    postgres = int((stack.postgres.folder / "postmaster.pid").read_text().split()[0])
    found: dict[str, Any] = {"events": count}
    for name, arguments in {
        "live": ("consume", "--migrate", "--until-caught-up", "--http-port", "off"),
        "archive": ("archive", folder),
        "check": ("archive", folder, "--check"),
        "verify": ("verify",),
        "verify --archive": ("verify", "--archive", folder),
    }.items():
        found[name] = run_wex(arguments, settings, postgres).per_event(count)
        sys.stderr.write(f"{name}: {found[name]}\n")
    archived = read_archive(Path(folder)).values()
    values = sum(facts.value_bytes for each in archived for facts in each.facts)
    files = sum(part.size for each in archived for part in each.parts)
    return found | {"key_and_value_bytes": round(values / count, 1), "file_bytes": round(files / count, 1)}


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wex-bench-") as folder, LocalStack(Path(folder) / "stack") as stack:
        measured = measure(stack, round(arguments.events / EVENTS_EACH), str(Path(folder) / "archive"))
    sys.stdout.write(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
