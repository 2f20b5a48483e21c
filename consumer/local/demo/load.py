"""The demonstration's load: real workflows of every kind, run to the point where each kind is what it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.worker import Worker

from consumer.local.demo.workflows import WORKFLOWS, Charge, Continue, Decline, Flaky, Parent, Wait, charge
from events.adapters.temporal import WorkflowExecutionsPlugin
from events.publisher import ExecutionPublisher

TASK_QUEUE = "demo"
DESERTED_QUEUE = "demo-without-workers"
SHORT = timedelta(seconds=2)
RUN_TIMEOUT = timedelta(seconds=4)  # longer than a busy worker takes to pick a run up
AT_ONCE = 40  # workflows under way at a time, so that none waits long for the one worker
LONG = timedelta(hours=1)
USERS = ("ann", "bob", "cleo")

Handle = WorkflowHandle[Any, Any]
Start = Callable[..., Coroutine[Any, Any, Handle]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A way in which a run can go.

    Attributes:
        name: prefix of the workflow ids.
        play: starts one and brings it to where it belongs.
        seen_by_worker: whether a worker sees how it stands; if not, only the server can tell.
    """

    name: str
    play: Callable[[Start], Coroutine[Any, Any, None]]
    seen_by_worker: bool = True


async def _ended(handle: Handle) -> None:
    with contextlib.suppress(WorkflowFailureError):
        await handle.result()


async def _picked_up(handle: Handle) -> None:
    """Wait until a worker has answered its first workflow task."""
    answered = 4  # events: started, task scheduled, task started, task completed
    while (await handle.describe()).history_length < answered:  # noqa: ASYNC110 - Temporal tells nobody when
        await asyncio.sleep(0.05)


async def _complete(start: Start) -> None:
    await _ended(await start(Charge.run))


async def _fail(start: Start) -> None:
    await _ended(await start(Decline.run))


async def _retry(start: Start) -> None:
    policy = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=3)
    await _ended(await start(Flaky.run, retry_policy=policy))


async def _cancel(start: Start) -> None:
    handle = await start(Wait.run)
    await _picked_up(handle)
    await handle.cancel()
    await _ended(handle)


async def _terminate(start: Start) -> None:
    handle = await start(Wait.run)
    await _picked_up(handle)
    await handle.terminate(reason="the demonstration kills it")
    await _ended(handle)


async def _time_out(start: Start) -> None:
    await _ended(await start(Wait.run, run_timeout=RUN_TIMEOUT))


async def _continue_as_new(start: Start) -> None:
    await _ended(await start(Continue.run))


async def _have_child(start: Start) -> None:
    await _ended(await start(Parent.run))


async def _start_later(start: Start) -> None:
    await _ended(await start(Charge.run, start_delay=SHORT))


async def _wait_for_start(start: Start) -> None:
    await start(Charge.run, start_delay=LONG)


async def _never_pick_up(start: Start) -> None:
    await start(Charge.run, task_queue=DESERTED_QUEUE)


async def _leave_running(start: Start) -> None:
    await _picked_up(await start(Wait.run))


KINDS = (
    Kind("completed", _complete),
    Kind("failed", _fail),
    Kind("retried", _retry),
    Kind("cancelled", _cancel),
    Kind("terminated", _terminate, seen_by_worker=False),
    Kind("timed-out", _time_out, seen_by_worker=False),
    Kind("continued-as-new", _continue_as_new),
    Kind("with-child", _have_child),
    Kind("started-later", _start_later),
    Kind("waiting-for-start", _wait_for_start, seen_by_worker=False),
    Kind("never-picked-up", _never_pick_up, seen_by_worker=False),
    Kind("left-running", _leave_running),
)


async def run_workflows(client: Client, publisher: ExecutionPublisher, copies: int) -> None:
    """Run so many workflows of each kind, with a worker that publishes what it sees."""
    worker = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        activities=[charge],
        plugins=[WorkflowExecutionsPlugin(publisher)],
    )
    slots = asyncio.Semaphore(AT_ONCE)

    async def play(kind: Kind, number: int) -> None:
        async with slots:
            await kind.play(_starter(client, kind, number))

    async with worker, asyncio.TaskGroup() as tasks:
        for number in range(copies):
            for kind in KINDS:
                tasks.create_task(play(kind, number))


def _starter(client: Client, kind: Kind, number: int) -> Start:
    async def start(run: Any, **options: Any) -> Handle:  # noqa: ANN401 - any workflow, any of Temporal's options
        return await client.start_workflow(
            run,
            number,
            **{
                "id": f"{kind.name}-{number}",
                "task_queue": TASK_QUEUE,
                "memo": {"user_id": USERS[number % len(USERS)]},
                **options,
            },
        )

    return start


def kind_of(workflow_id: str) -> Kind:
    """Return the kind of a run by its workflow id; a child is of the kind of its parent."""
    name = workflow_id.removeprefix("child-of-").rpartition("-")[0]
    return next(kind for kind in KINDS if kind.name == name)
