"""What the server itself says, to hold the rows against."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client

from events import Event, ExecutionRow, fold, row

NAMES = {
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING: {"running", "pending"},
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED: {"completed"},
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED: {"failed"},
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED: {"cancelled"},
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED: {"terminated"},
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: {"continued_as_new"},
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT: {"timed_out"},
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED: {"paused"},
}


def utc(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)


async def runs(client: Client, workflow_id: str, count: int = 1) -> list[DescribeWorkflowExecutionResponse]:
    """The runs of a workflow in the order of their creation, once visibility shows what the server knows."""
    async with asyncio.timeout(20):
        while True:
            listed = await _listed(client, workflow_id)
            described = [await describe(client, info) for info in listed]
            if len(listed) == count and [info.status for info in listed] == [_status(found) for found in described]:
                return sorted(described, key=lambda found: utc(found.workflow_execution_info.start_time))
            await asyncio.sleep(0.02)  # visibility follows the server; there is no way to be told


async def describe(client: Client, info: WorkflowExecutionInfo) -> DescribeWorkflowExecutionResponse:
    request = DescribeWorkflowExecutionRequest(namespace=client.namespace, execution=info.execution)
    return await client.workflow_service.describe_workflow_execution(request)


async def history(client: Client, description: DescribeWorkflowExecutionResponse) -> list[HistoryEvent]:
    execution = description.workflow_execution_info.execution
    handle = client.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
    return [entry async for entry in handle.fetch_history_events()]


def rows(events: list[Event]) -> dict[str, ExecutionRow]:
    """The row of each run, by run id."""
    ids = {event.data.temporal_run_id for event in events}
    return {id_: row(fold(event for event in events if event.data.temporal_run_id == id_)) for id_ in ids}


def assert_agrees(shown: ExecutionRow, description: DescribeWorkflowExecutionResponse) -> None:
    """A row shows the status, start, end and duration that the server shows."""
    info = description.workflow_execution_info
    assert shown.status in NAMES[info.status]
    due = max(utc(info.start_time), utc(info.execution_time))
    assert shown.started_at == (due if shown.start_reported else utc(info.start_time))
    assert shown.completed_at == (utc(info.close_time) if info.HasField("close_time") else None)
    if shown.completed_at is not None:
        assert shown.duration_ms == max(0, (shown.completed_at - due) // timedelta(milliseconds=1))


async def _listed(client: Client, workflow_id: str) -> list[WorkflowExecutionInfo]:
    request = ListWorkflowExecutionsRequest(namespace=client.namespace, query=f'WorkflowId = "{workflow_id}"')
    page = await client.workflow_service.list_workflow_executions(request)
    return sorted(page.executions, key=lambda info: info.execution.run_id)


def _status(description: DescribeWorkflowExecutionResponse) -> WorkflowExecutionStatus.ValueType:
    return description.workflow_execution_info.status
