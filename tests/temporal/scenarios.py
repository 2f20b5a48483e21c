"""Lives on a real server: each function brings one workflow to a state, and returns its id."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import (
    PauseWorkflowExecutionRequest,
    ResetWorkflowExecutionRequest,
    UnpauseWorkflowExecutionRequest,
)
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy

from tests.temporal.workflows import CountDown, Fail, FailOnce, Parent, Shrug, Succeed, Wait

Handle = WorkflowHandle[Any, Any]
SOON = RetryPolicy(initial_interval=timedelta(milliseconds=10))


async def start(client: Client, queue: str, workflow: type, *args: object, **options: Any) -> Handle:
    """Start a workflow under an id of its own."""
    id_ = options.pop("id", f"{workflow.__name__}-{uuid4().hex[:8]}")
    options.setdefault("task_queue", queue)
    return await client.start_workflow(workflow.run, args=args, id=id_, **options)  # type: ignore[attr-defined] # every workflow of the tests has a run


async def ended(handle: Handle) -> str:
    """Wait for the end of a workflow, whatever it is, and return its id."""
    with suppress(WorkflowFailureError):
        await handle.result()
    return handle.id


async def happened(handle: Handle, kind: EventType.ValueType) -> int:
    """Wait until a run's history has an event of a kind, and return its id."""
    async with asyncio.timeout(20):
        async for entry in handle.fetch_history_events(wait_new_event=True):
            if entry.event_type == kind:
                return entry.event_id
    msg = f"the run ended without {EventType.Name(kind)}"
    raise AssertionError(msg)


async def waiting(client: Client, queue: str, **options: Any) -> Handle:
    """A run that a worker has picked up and that waits."""
    handle = await start(client, queue, Wait, **options)
    await happened(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    return handle


async def succeeded(client: Client, queue: str) -> str:
    return await ended(await start(client, queue, Succeed, "ada", 2))


async def failed(client: Client, queue: str) -> str:
    return await ended(await start(client, queue, Fail, 12.5))


async def retried(client: Client, queue: str) -> str:
    return await ended(await start(client, queue, FailOnce, retry_policy=SOON))


async def cancelled(client: Client, queue: str) -> str:
    handle = await start(client, queue, Shrug)
    await happened(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    await handle.cancel()
    return await ended(handle)


async def terminated(client: Client, queue: str) -> str:
    handle = await waiting(client, queue)
    await handle.terminate(reason="no longer wanted")
    return handle.id


async def timed_out(client: Client, queue: str) -> str:
    return await ended(await start(client, queue, Wait, run_timeout=timedelta(seconds=1)))


async def timed_out_in_the_queue(client: Client, queue: str) -> str:
    nobody = {"task_queue": f"{queue}-nobody", "execution_timeout": timedelta(seconds=1)}
    return await ended(await start(client, queue, Wait, **nobody))


async def continued_as_new(client: Client, queue: str) -> str:
    return await ended(await start(client, queue, CountDown, 1))


async def parent(client: Client, queue: str) -> str:
    return await ended(await start(client, queue, Parent, f"child-{uuid4().hex[:8]}"))


async def delayed(client: Client, queue: str) -> str:
    return await ended(await start(client, queue, Succeed, "ada", 1, start_delay=timedelta(milliseconds=200)))


async def still_delayed(client: Client, queue: str) -> str:
    return (await start(client, queue, Wait, start_delay=timedelta(hours=1))).id


async def terminated_before_it_was_due(client: Client, queue: str) -> str:
    handle = await start(client, queue, Wait, start_delay=timedelta(hours=1))
    await handle.terminate()
    return handle.id


async def never_picked_up(client: Client, queue: str) -> str:
    return (await start(client, queue, Wait, task_queue=f"{queue}-nobody")).id


async def paused(client: Client, queue: str) -> str:
    handle = await waiting(client, queue)
    await client.workflow_service.pause_workflow_execution(
        PauseWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_id=handle.id,
            run_id=handle.first_execution_run_id or "",
            reason="under repair",
            identity="ada",
            request_id=uuid4().hex,
        )
    )
    return handle.id


async def resumed(client: Client, queue: str) -> str:
    id_ = await paused(client, queue)
    await client.workflow_service.unpause_workflow_execution(
        UnpauseWorkflowExecutionRequest(
            namespace=client.namespace, workflow_id=id_, reason="repaired", identity="bob", request_id=uuid4().hex
        )
    )
    return id_


async def reset(client: Client, queue: str) -> str:
    """Asked to cancel nothing, only reset: the first run is terminated and a second one goes on."""
    handle = await waiting(client, queue)
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=handle.first_execution_run_id or ""),
            reason="bad deploy",
            workflow_task_finish_event_id=4,
            request_id=uuid4().hex,
        )
    )
    second = client.get_workflow_handle(handle.id, run_id=answer.run_id)
    async with asyncio.timeout(20):
        async for entry in second.fetch_history_events(wait_new_event=True):
            if entry.event_id > 4 and entry.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                break
    return handle.id


async def left_running(client: Client, queue: str) -> str:
    return (await waiting(client, queue)).id


Scenario = Callable[[Client, str], Awaitable[str]]

# Each life, and the statuses of its runs in the order in which they were created.
LIVES: dict[Scenario, list[str]] = {
    succeeded: ["completed"],
    failed: ["failed"],
    retried: ["failed", "completed"],
    cancelled: ["cancelled"],
    terminated: ["terminated"],
    timed_out: ["timed_out"],
    timed_out_in_the_queue: ["timed_out"],
    continued_as_new: ["continued_as_new", "completed"],
    parent: ["completed"],
    delayed: ["completed"],
    still_delayed: ["pending"],
    terminated_before_it_was_due: ["terminated"],
    never_picked_up: ["pending"],
    paused: ["paused"],
    resumed: ["running"],
    reset: ["terminated", "running"],
    left_running: ["running"],
}
