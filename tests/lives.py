"""Lives of executions for tests: a short way to write events, and the 56 lives that the fold must get right."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from events import Event
from events.codec import validate
from events.row import ExecutionRow

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LIVES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "laws" / "lives.json").read_text())

_ids = count()


def at(seconds: float) -> datetime:
    """The instant so many seconds after the beginning of all tests."""
    return BEGIN + timedelta(microseconds=round(seconds * 1_000_000))


def event(verb: str, seconds: float = 0.0, *, run: str = "run-1", event_id: str | None = None, **data: Any) -> Event:
    """One event of a run, with the required names filled in."""
    names = {"workflow_id": "invoice", "temporal_workflow_id": "invoice-42", "temporal_run_id": run}
    return validate(
        {
            "specversion": "1.0",
            "id": event_id or f"e{next(_ids)}",
            "source": "/tests",
            "verb": verb,
            "time": at(seconds),
            "data": names | data,
        }
    )


def life(number: int, run: str = "run-1") -> tuple[list[Event], dict[str, Any]]:
    """The events and the expectations of one of the 56 lives."""
    entry = LIVES[number - 1]
    return [_event(fields, run) for fields in entry["events"]], entry["expected"]


def _event(fields: dict[str, Any], run: str) -> Event:
    data = dict(fields)
    verb, seconds, event_id = data.pop("verb"), data.pop("at"), data.pop("id", None)
    if data.get("authority") in ("inferred", "operator"):
        data.setdefault("attempt", 1)
    for name in ("started_at", "completed_at"):
        if name in data:
            data[name] = at(data[name])
    if "scheduled_for" in data:
        data["scheduled_for"] = at(0)
    if "error" in data:
        data["error"] = {"message": data["error"]}
    if "progress" in data:
        data["progress"] = {"message": data["progress"]}
    if "labels" in data:
        data["labels"] = {data["labels"]: "yes"}
    return event(verb, seconds, run=run, event_id=event_id, **data)


def shown(row: ExecutionRow) -> dict[str, Any]:
    """A row in the words of the expectations."""
    return {
        "status": str(row.status),
        "started_at": (row.started_at - BEGIN).total_seconds() if row.start_reported else None,
        "completed_at": row.completed_at and (row.completed_at - BEGIN).total_seconds(),
        "duration_ms": row.duration_ms,
        "input": row.input,
        "output": row.output,
        "error": row.error_message,
        "reason": row.reason,
        "next_run_id": row.next_run_id,
        "progress": row.progress and row.progress["message"],
        "labels": row.labels and next(iter(row.labels)),
        "activities": row.activities_executed,
        "user_id": row.created_by,
        "deleted": row.deleted_at is not None,
        "cancel_requested": row.cancel_requested_at is not None,
        "contested": row.contested,
    }
