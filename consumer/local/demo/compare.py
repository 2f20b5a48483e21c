"""Holding every row against the Temporal server, with a listing that shares nothing with the sync."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from consumer.local.demo.load import kind_of
from store.execution import Execution
from store.reader import ExecutionReader

_MILLISECOND = timedelta(milliseconds=1)

_STATUSES = {
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed_out",
    WorkflowExecutionStatus.CONTINUED_AS_NEW: "continued_as_new",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a user can check of a run: how it stands, when it began and ended, how long it took in milliseconds."""

    status: str | None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the server has, and which runs the table tells otherwise, with both sides of the story."""

    runs: Counter[str]
    differing: dict[tuple[str, str], tuple[Facts, Facts]]

    @property
    def differing_by_kind(self) -> Counter[str]:
        """How many runs differ, by kind."""
        return Counter(kind_of(workflow_id).name for workflow_id, _ in self.differing)

    @property
    def unseen_by_worker(self) -> Counter[str]:
        """How many runs there are of the kinds that a worker cannot see."""
        return Counter({kind: n for kind, n in self.runs.items() if not kind_of(f"{kind}-0").seen_by_worker})


async def compare(client: Client, reader: ExecutionReader, fields: Callable[[Facts], Facts]) -> Comparison:
    """Hold every run that the server lists against its row, as far as `fields` looks."""
    listed = [run async for run in client.list_workflows()]
    runs = Counter(kind_of(run.id).name for run in listed)
    slots = asyncio.Semaphore(8)

    async def both(run: WorkflowExecution) -> tuple[Facts, Facts]:
        async with slots:
            return fields(await _server_facts(client, run)), fields(await _row_facts(reader, run))

    pairs = await asyncio.gather(*map(both, listed))
    differing = {(run.id, run.run_id): pair for run, pair in zip(listed, pairs, strict=True) if pair[0] != pair[1]}
    return Comparison(runs, differing)


def status_alone(facts: Facts) -> Facts:
    """Look at the status only: a worker's clock is not the server's."""
    return Facts(facts.status)


def everything(facts: Facts) -> Facts:
    """Look at all of it."""
    return facts


async def _server_facts(client: Client, run: WorkflowExecution) -> Facts:
    """Return how the server describes a run; one without a first workflow task has not started."""
    handle = client.get_workflow_handle(run.id, run_id=run.run_id)
    described = await handle.describe()
    history = [event.event_type async for event in handle.fetch_history_events()]
    picked_up = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED in history
    began = max(described.start_time, described.execution_time or described.start_time)
    if described.status is None or described.status is WorkflowExecutionStatus.RUNNING:
        return Facts("running" if picked_up else "pending", began if picked_up else None)
    assert described.close_time is not None, "a run that is not running is closed"
    took = (described.close_time - began) // _MILLISECOND
    return Facts(_STATUSES[described.status], began if picked_up else None, described.close_time, took)


async def _row_facts(reader: ExecutionReader, run: WorkflowExecution) -> Facts:
    row: Execution | None = await reader.get(run.id, run.run_id)
    if row is None:
        return Facts(None)
    return Facts(row.status, row.started_at if row.start_reported else None, row.completed_at, row.duration_ms)
