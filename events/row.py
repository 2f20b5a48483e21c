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
_NO_STATUS = Cell(b"", (Status.PENDING, 1, None, None, None))


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
    shown = _Shown(state)
    started_at = shown.value("started")
    error = shown.of_verdict("error")
    return ExecutionRow(
        id=state.run.id,
        **state.run._asdict(),
        **{column: shown.value(register) for register, column in _SHOWN_ALWAYS.items()},
        **{column: shown.of_attempt(register) for register, column in _SHOWN_WITH_ATTEMPT.items()},
        orchestrator=shown.value("orchestrator") or "temporal",
        status=shown.status,
        attempt=shown.attempt,
        completed_at=shown.completed_at,
        reason=shown.reason,
        actor=shown.actor,
        started_at=started_at or state.created_at,
        start_reported=started_at is not None,
        duration_ms=shown.duration_ms,
        output=shown.of_verdict("output"),
        error=error,
        error_message=error.get("message") if error else None,
        contested=shown.contested,
        created_at=state.created_at,
        updated_at=state.updated_at,
    )


# Register → column: what is shown whatever the verdict, and what only with the attempt it belongs to.
_SHOWN_ALWAYS = {
    "workflow_id": "workflow_id",
    "workflow_name": "workflow_name",
    "user_id": "created_by",
    "input": "input",
    "scheduled_for": "scheduled_for",
    "next_run_id": "next_run_id",
    "parent": "parent",
    "root": "root",
    "labels": "labels",
    "visibility": "deleted_at",
}
_SHOWN_WITH_ATTEMPT = {
    "progress": "progress",
    "activities": "activities_executed",
    "cancel_request": "cancel_requested_at",
}


class _Shown:
    """A state under the verdict that it shows."""

    def __init__(self, state: State) -> None:
        self._cells = state.registers
        verdict = self._cells.get("status", _NO_STATUS)
        self._status_order = verdict.order
        self.status, self.attempt, self.completed_at, self.reason, self.actor = verdict.values

    def value(self, register: str) -> Any:  # noqa: ANN401 - each register holds its own type
        """The register's value, whatever the verdict."""
        values = self._cells.get(register, _EMPTY).values
        return values[0].value() if values and isinstance(values[0], JsonText) else (values[0] if values else None)

    def of_attempt(self, register: str) -> Any:  # noqa: ANN401 - each register holds its own type
        """The register's value if it is of the attempt shown."""
        return self.value(register) if same_attempt(self._order(register), self.attempt) else None

    def of_verdict(self, register: str) -> Any:  # noqa: ANN401 - each register holds its own type
        """The register's value if it is of the attempt and the status shown."""
        return self.value(register) if same_verdict(self._order(register), self._status_order) else None

    @property
    def duration_ms(self) -> int | None:
        """The reported duration, else the measured one of the same attempt, never below 0."""
        reported: int | None = self.of_verdict("duration")
        started_at = self.of_attempt("started")
        if reported is not None or started_at is None or self.completed_at is None:
            return reported
        measured: int = (self.completed_at - started_at) // _MILLISECOND
        return max(0, measured)

    @property
    def contested(self) -> bool:
        """Whether two reports of the attempt and authority shown claim different ends."""
        return contested(self._status_order, self._order("highest_claim"), self._order("lowest_claim"))

    def _order(self, register: str) -> bytes:
        return self._cells.get(register, _EMPTY).order
