"""What each index costs the applying path: `make bench-indexes`.

Applies the same lives through the store, as the consumer does, into databases that differ in their indexes alone, and
prints what the backend of PostgreSQL spends per row: starts, heartbeats and ends in batches of their own, and whole
lives in one batch, as a drain of a long log has them. Databases take turns, so that ratios hold on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import psutil

from consumer.local.stack import LocalStack
from events import Event, State, Verb, merge
from events.catalogue import Catalogue
from events.codec import validate
from events.fold import state_of
from events.position import TopicPartition
from store import PostgresStore
from store.batch import Batch, LogRange, Move
from store.migrate import migrate, migrations

BATCH = 500  # executions
PARTITION = TopicPartition("benchmark", 0)
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

# The migrations that are judged, and before which some databases stop: the indexes of lists, and the statistics.
STOP_BEFORE = {"before": "0004", "before statistics": "0005"}
# What each database has beside the migrations.
DATABASES: dict[str, list[str]] = {
    "before": [],
    "before statistics": [],
    "now": [],
    "now, no durations": ["DROP INDEX workflow_executions_by_duration"],
    "and labels": ["CREATE INDEX ON workflow_executions USING gin (labels jsonb_path_ops) WHERE labels IS NOT NULL"],
    "and last event of open": [
        "CREATE INDEX ON workflow_executions (namespace, updated_at) WHERE completed_at IS NULL"
    ],
    "and all statuses": [
        "CREATE INDEX ON workflow_executions (namespace, status, started_at DESC, id DESC)",
        "CREATE INDEX ON workflow_executions (namespace, workflow_id, status, started_at DESC, id DESC)",
        "CREATE INDEX ON workflow_executions (namespace, created_by, status, started_at DESC, id DESC)",
    ],
}
SECONDS = {Verb.STARTED: 0, Verb.HEARTBEAT: 1, Verb.COMPLETED: 2}
PHASES: dict[str, tuple[Verb, ...]] = {
    "started": (Verb.STARTED,),
    "heartbeat": (Verb.HEARTBEAT,),
    "ended": (Verb.COMPLETED,),
    "whole lives": (Verb.STARTED, Verb.COMPLETED),
}


def state(number: int, verbs: Sequence[Verb]) -> tuple[State, list[Event]]:
    """Return what a batch makes of some events of one execution: one in twenty fails."""
    data = {
        "workflow_id": f"workflow-{number % 20}",
        "temporal_workflow_id": f"order-{number:08}",
        "temporal_run_id": f"run-{number * 2654435761 % 2**32:08x}",
        "user_id": f"user-{number % 200}",
        "labels": {"team": f"team-{number % 9}", "order": f"order-{number}", "region": f"eu-{number % 3}"},
    }
    told = []
    for verb in verbs:
        fails = verb is Verb.COMPLETED and number % 20 == 0
        at = BEGIN + timedelta(milliseconds=7 * number, seconds=SECONDS[verb])
        said: dict[str, Any] = {"progress": {"done": 1}} if verb is Verb.HEARTBEAT else {}
        said |= {"error": {"message": "declined", "type": "CardDeclined"}} if fails else {}
        envelope = {"specversion": "1.0", "id": f"{number}-{verb}", "source": "/b", "time": at}
        told.append(validate({**envelope, "verb": Verb.FAILED if fails else verb, "data": data | said}))
    folded = state_of(told[0])
    for event in told[1:]:
        folded = merge(folded, state_of(event))
    return folded, told


class Database:
    """One of the databases that are compared, with the store that writes into it."""

    def __init__(self, name: str, url: str) -> None:
        self.name, self._url = name, url
        self._store = PostgresStore(url)
        self._token, self._offset = uuid4(), 0

    async def make(self) -> None:
        """Migrate, add the indexes, claim."""
        wanted = [each for each in migrations() if each.version < STOP_BEFORE.get(self.name, "9999")]
        await migrate(self._url, wanted)
        connection = await asyncpg.connect(self._url)
        for sql in DATABASES[self.name]:
            await connection.execute(sql)
        await connection.close()
        await self._store.claim("g", {PARTITION: LogRange(0, 0)}, self._token, "benchmark")

    async def apply(self, numbers: range, verbs: Sequence[Verb]) -> dict[str, float]:
        """Apply one phase, and return the microseconds of the backend, and the bytes of WAL, per row."""
        batches = [self._batch(part, verbs) for part in _parts(numbers)]
        watcher = await asyncpg.connect(self._url)
        backend = psutil.Process(
            await watcher.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1",
                "workflow-executions",
            )
        )
        wal, spent = await watcher.fetchval("SELECT pg_current_wal_insert_lsn()"), _spent(backend)
        for batch in batches:
            await self._store.apply(batch)
        spent = _spent(backend) - spent
        written = await watcher.fetchval("SELECT pg_current_wal_insert_lsn() - $1::pg_lsn", wal)
        await watcher.close()
        return {"us": 1e6 * spent / len(numbers), "wal": float(written) / len(numbers)}

    def _batch(self, numbers: Sequence[int], verbs: Sequence[Verb]) -> Batch:
        folded = [state(number, verbs) for number in numbers]
        move = Move(self._token, self._offset, self._offset + len(folded), None)
        self._offset = move.next_offset
        catalogue = Catalogue.of([event for _, told in folded for event in told])
        return Batch("g", {PARTITION: move}, [one for one, _ in folded], catalogue)

    async def hot(self) -> float:
        """Return how many of all updates touched no index, in percent."""
        connection = await asyncpg.connect(self._url)
        await asyncio.sleep(1.1)  # until the backend of the store has told its statistics
        row = await connection.fetchrow(
            "SELECT n_tup_hot_upd, n_tup_upd FROM pg_stat_user_tables WHERE relname = 'workflow_executions'"
        )
        await connection.close()
        assert row is not None
        return 100.0 * float(row["n_tup_hot_upd"] / max(1, row["n_tup_upd"]))

    async def close(self) -> None:
        """Disconnect."""
        await self._store.close()


def _parts(numbers: range) -> Iterator[list[int]]:
    unread = iter(numbers)
    while part := list(islice(unread, BATCH)):
        yield part


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def compare(url: str, executions: int, rounds: int) -> dict[str, Any]:
    """Return the medians per database and phase."""
    databases = []
    admin = await asyncpg.connect(url)
    for number, name in enumerate(DATABASES):
        made = f"indexes_{number}_{uuid4().hex[:6]}"
        await admin.execute(f'CREATE DATABASE "{made}"')
        databases.append(Database(name, urlunsplit(urlsplit(url)._replace(path=f"/{made}"))))
        await databases[-1].make()
    found: dict[str, dict[str, list[dict[str, float]]]] = {d.name: {phase: [] for phase in PHASES} for d in databases}
    for turn in range(rounds):
        for phase, verbs in PHASES.items():
            first = (2 * turn + (phase == "whole lives")) * executions
            for database in databases:
                found[database.name][phase].append(await database.apply(range(first, first + executions), verbs))
    answer = {}
    for database in databases:
        rows = {
            phase: {unit: round(statistics.median(each[unit] for each in measured), 1) for unit in ("us", "wal")}
            for phase, measured in found[database.name].items()
        }
        answer[database.name] = rows | {"hot_percent": round(await database.hot(), 1)}
        await database.close()
    await admin.close()
    return answer


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=10_000, help="in each phase of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database-url", help="a server to make the databases on; without it one is started")
    options = parser.parse_args()
    if options.database_url:
        answer = asyncio.run(compare(options.database_url, options.executions, options.rounds))
    else:
        with tempfile.TemporaryDirectory(prefix="wex-bench-") as folder, LocalStack(Path(folder)) as stack:
            answer = asyncio.run(compare(stack.database_url, options.executions, options.rounds))
    print(json.dumps(answer, indent=2))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
