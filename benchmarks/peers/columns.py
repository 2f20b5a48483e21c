"""What a consumer that is written in an afternoon makes of an event: the columns that the event carries, as text.

No validation, and no order: what an event does not carry is None, and leaves a column as it is. PostgreSQL turns texts
into its types, which costs less than making Python's objects first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

STATUSES = {"started": "running", "heartbeat": "running"}  # the others are called as their verbs


class Columns(NamedTuple):
    """A row, or as much of it as one event knows; in the order of the columns in `upsert.sql` and `incoming.sql`."""

    id: str
    namespace: str
    workflow_id: str
    workflow_name: str | None
    temporal_workflow_id: str
    temporal_run_id: str
    orchestrator: str
    status: str
    attempt: str
    started_at: str | None
    completed_at: str | None
    duration_ms: str | None
    input: str | None
    output: str | None
    error: str | None
    error_message: str | None
    activities_executed: str | None
    progress: str | None
    created_by: str | None
    created_at: str
    updated_at: str


def columns(value: bytes) -> Columns:
    """Return what an event says."""
    event = orjson.loads(value)
    data, time, verb = event["data"], event["time"], event["type"].split(".")[2]
    error = data.get("error")
    ended = verb not in STATUSES
    return Columns(
        event["subject"],
        data.get("namespace", "default"),
        data["workflow_id"],
        data.get("workflow_name"),
        data["temporal_workflow_id"],
        data["temporal_run_id"],
        data.get("orchestrator", "temporal"),
        STATUSES.get(verb, verb),
        str(data.get("attempt", 1)),
        data.get("started_at") or (time if verb == "started" else None),
        (data.get("completed_at") or time) if ended else None,
        _text(data.get("duration_ms")),
        _text(data.get("input")),
        _text(data.get("output")),
        _text(error),
        error["message"] if error else None,
        _text(data.get("activities_executed")),
        _text(data.get("progress")),
        data.get("user_id"),
        time,
        time,
    )


def overwrite(held: Columns, later: Columns) -> Columns:
    """Return what is known after a later event: whatever it carries, and the rest of what was there."""
    told = Columns._make(old if new is None else new for old, new in zip(held, later, strict=True))
    return told._replace(created_at=held.created_at)


def _text(value: Any) -> str | None:  # noqa: ANN401 - any JSON
    return None if value is None else orjson.dumps(value).decode()
