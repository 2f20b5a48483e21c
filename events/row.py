"""The row: what readers see, derived from a state and never stored by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from .fold import Cell, State
from .orders import contested, same_attempt, same_verdict
from .payload import JsonText
from .vocabulary import Status

_MILLISECOND = timedelta(milliseconds=1)
_EMPTY = Cell(b"", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRow:
    """One execution as readers see it; times are in UTC, durations in milliseconds, payloads are plain Python values.

    Attributes:
        started_at: the reported start, else the time of the first event; `start_reported` says which.
        completed_at: when it ended; None while it has not.
        duration_ms: as reported, else measured from start to end of the same attempt; None if neither is known.
        error_message: the error's message, for lists.
        contested: two reports of the same attempt and authority claim different ends.
        created_at: time of the first event.
        updated_at: time of the last event.
    """

    id: UUID
    namespace: str
    workflow_id: str | None
    workflow_name: str | None
    temporal_workflow_id: str
    temporal_run_id: str
    orchestrator: str
    status: Status
    attempt: int
    started_at: datetime
    start_reported: bool
    completed_at: datetime | None
    duration_ms: int | None
    input: Any
    output: Any
    error: Any
    error_message: str | None
    activities_executed: int | None
    progress: Any
    reason: str | None
    actor: str | None
    created_by: str | None
    scheduled_for: datetime | None
    next_run_id: str | None
    parent: Any
    root: Any
    labels: Any
    cancel_requested_at: datetime | None
    deleted_at: datetime | None
    contested: bool
    created_at: datetime
    updated_at: datetime


def row(state: State) -> ExecutionRow:
    """Return the row that a state shows."""
    cells = state.registers
    status_order, (status, attempt, completed_at, reason, actor) = cells.get(
        "status", Cell(b"", (Status.PENDING, 1, None, None, None))
    )

    def value(register: str) -> Any:  # noqa: ANN401 - each register holds its own type
        values = cells.get(register, _EMPTY).values
        return values[0].value() if values and isinstance(values[0], JsonText) else (values[0] if values else None)

    def of_attempt(register: str) -> Any:  # noqa: ANN401 - each register holds its own type
        return value(register) if same_attempt(cells.get(register, _EMPTY).order, attempt) else None

    def of_verdict(register: str) -> Any:  # noqa: ANN401 - each register holds its own type
        return value(register) if same_verdict(cells.get(register, _EMPTY).order, status_order) else None

    reported = of_verdict("duration")
    started_at = value("started")
    error = of_verdict("error")
    return ExecutionRow(
        id=state.run.id,
        namespace=state.run.namespace,
        workflow_id=value("workflow_id"),
        workflow_name=value("workflow_name"),
        temporal_workflow_id=state.run.temporal_workflow_id,
        temporal_run_id=state.run.temporal_run_id,
        orchestrator=value("orchestrator") or "temporal",
        status=status,
        attempt=attempt,
        started_at=started_at or state.created_at,
        start_reported=started_at is not None,
        completed_at=completed_at,
        duration_ms=reported if reported is not None else _measured_ms(of_attempt("started"), completed_at),
        input=value("input"),
        output=of_verdict("output"),
        error=error,
        error_message=error.get("message") if error else None,
        activities_executed=of_attempt("activities"),
        progress=of_attempt("progress"),
        reason=reason,
        actor=actor,
        created_by=value("user_id"),
        scheduled_for=value("scheduled_for"),
        next_run_id=value("next_run_id"),
        parent=value("parent"),
        root=value("root"),
        labels=value("labels"),
        cancel_requested_at=of_attempt("cancel_request"),
        deleted_at=value("visibility"),
        contested=contested(
            status_order, cells.get("highest_claim", _EMPTY).order, cells.get("lowest_claim", _EMPTY).order
        ),
        created_at=state.created_at,
        updated_at=state.updated_at,
    )


def _measured_ms(started_at: datetime | None, completed_at: datetime | None) -> int | None:
    if started_at is None or completed_at is None:
        return None
    return max(0, (completed_at - started_at) // _MILLISECOND)
