"""The same log as rows: what Debezium's JDBC sink can read.

It writes records as they are, so each has to say all that is known by then, and all of them in one schema. Somebody
has to keep that state where events are published; here it costs the sink nothing, which is in its favour. Records stand
where the events did, one for each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from benchmarks.peers.columns import STATUSES, Columns, columns, overwrite
from benchmarks.workload import Told

# The types of Debezium's connectors, which its sink turns into those of PostgreSQL; all others are texts.
TYPES: dict[str, tuple[str, str]] = {
    "id": ("string", "io.debezium.data.Uuid"),
    "attempt": ("int32", ""),
    "started_at": ("string", "io.debezium.time.ZonedTimestamp"),
    "completed_at": ("string", "io.debezium.time.ZonedTimestamp"),
    "duration_ms": ("int64", ""),
    "input": ("string", "io.debezium.data.Json"),
    "output": ("string", "io.debezium.data.Json"),
    "error": ("string", "io.debezium.data.Json"),
    "activities_executed": ("int32", ""),
    "progress": ("string", "io.debezium.data.Json"),
    "created_at": ("string", "io.debezium.time.ZonedTimestamp"),
    "updated_at": ("string", "io.debezium.time.ZonedTimestamp"),
}
NUMBERS = [name for name, (kind, _) in TYPES.items() if kind.startswith("int")]


class _Known(NamedTuple):
    """One event, and its place in the life of its execution."""

    order: tuple[str, bool]  # its time, and whether it ends
    value: bytes
    row: Columns


def flat(log: Sequence[Told]) -> list[Told]:
    """Return a log of rows."""
    lives: dict[int, dict[bytes, _Known]] = defaultdict(dict)
    for told in log:
        row = columns(told.value)
        lives[told.execution][told.value] = _Known(
            (row.updated_at, row.status not in STATUSES.values()), told.value, row
        )
    records: dict[bytes, bytes] = {}
    for life in lives.values():
        records.update(_life(sorted(life.values())))
    return [told._replace(value=records[told.value]) for told in log]


def _life(events: Iterable[_Known]) -> dict[bytes, bytes]:
    """Return the row after each event of an execution, in the order in which they happened."""
    held: Columns | None = None
    rows: dict[bytes, bytes] = {}
    for event in events:
        held = event.row if held is None else overwrite(held, event.row)
        rows[event.value] = _record(held)
    return rows


def _record(row: Columns) -> bytes:
    fields: dict[str, Any] = row._asdict()
    for name in NUMBERS:
        fields[name] = None if fields[name] is None else int(fields[name])
    return orjson.dumps(fields)


def schema() -> str:
    """Return the schema of the records, as Connect's JsonConverter reads it."""
    fields = []
    for name in Columns._fields:
        kind, meaning = TYPES.get(name, ("string", ""))
        fields.append({"field": name, "type": kind, "optional": name != "id"} | ({"name": meaning} if meaning else {}))
    return orjson.dumps({"type": "struct", "name": "execution", "optional": False, "fields": fields}).decode()
