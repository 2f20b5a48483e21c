"""Many executions, cheaply: lives of a few shapes as records, with users, payloads, errors and stray partitions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta

from tests.lives import BEGIN

EVENTS_EACH = 3
WORKFLOWS = 20
USERS = 50


def records(executions: int, *, first: int = 0) -> Iterator[bytes]:
    """The records of so many executions: three each, the last of one before the first of the next."""
    for number in range(first, first + executions):
        yield from _life(number)


def _life(number: int) -> Iterator[bytes]:
    workflow = f"workflow-{number % WORKFLOWS}"
    started: dict[str, object] = {
        "user_id": f"user-{number % USERS}",
        "input": {"items": number},
        "workflow_name": workflow.title(),
    }
    yield _record(number, "started", 0, started).replace(b'"items": ', b'"price": 1.50, "items": ')
    yield _record(number, "heartbeat", 1, {"progress": {"done": number % 7, "total": 7}, "activities_executed": 2})
    match number % 4:
        case 0:
            yield _record(number, "completed", 2, {"output": {"total": number}, "duration_ms": 1500})
        case 1:
            yield _record(number, "failed", 2, {"error": {"message": f"no stock for {number}", "code": "E7"}})
        case 2:
            yield _record(number, "cancelled", 2, {"reason": "too late", "actor": "ann", "labels": {"tier": "gold"}})
        case _:
            parent = {"temporal_workflow_id": "parent", "temporal_run_id": str(number)}
            yield _record(number, "paused", 2, {"reason": "waits", "parent": parent, "attempt": 2})


def _record(number: int, verb: str, seconds: int, data: Mapping[str, object]) -> bytes:
    names = {
        "workflow_id": f"workflow-{number % WORKFLOWS}",
        "temporal_workflow_id": f"order-{number}",
        "temporal_run_id": f"run-{number}",
    }
    time = BEGIN + timedelta(seconds=number % 10_000 + seconds)
    event = {
        "specversion": "1.0",
        "id": f"{number}-{verb}",
        "source": "/load",
        "type": f"workflow.execution.{verb}.v1",
        "time": time.isoformat(),
        "data": {**names, **data},
    }
    return json.dumps(event).encode()
