"""The worker's half inside workflows: what a run sees of its own life, handed to a local activity that publishes it.

A local activity is recorded in the run's history, so it is not repeated when the worker replays it, and it is repeated
when the worker dies before it was recorded. It runs beside the workflow: only the end of a run waits for it. When it
fails, the workflow goes on, and the server's half tells what is missing.

Runs that began before the plugin was installed have no such activity in their histories; `workflow.patched` tells them
apart, and they go on as if it were not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from temporalio import workflow
from temporalio.api.failure.v1 import Failure
from temporalio.common import RetryPolicy
from temporalio.converter import DefaultFailureConverter
from temporalio.exceptions import is_cancelled_exception
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from ...identity import RunKey
from ...payload import Withheld
from ...vocabulary import Verb
from . import names
from .failures import error_of
from .payloads import json_of

PUBLISH_ACTIVITY = "workflow_executions.publish"
PATCH = "workflow-executions"
ATTEMPTS = 3


class ExecutionInterceptor(Interceptor):
    """Gives every workflow of a worker the reporting below.

    Args:
        patience: how long one event may take, all attempts together.
        payloads: whether inputs and outputs are published.
    """

    def __init__(self, *, patience: timedelta, payloads: bool) -> None:
        self._settings = {"patience": patience, "payloads": payloads}

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002 - the SDK's name
        """Return the reporting with this interceptor's settings: the SDK makes the instances itself."""
        del input
        return type("Reporting", (_Reporting,), self._settings)


class _Reporting(WorkflowInboundInterceptor):
    patience: ClassVar[timedelta]
    payloads: ClassVar[bool]

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002, ANN401 - the SDK's signature
        if not workflow.patched(PATCH):
            return await self.next.execute_workflow(input)
        started = self._say(Verb.STARTED, **_family(), input=self._json(input.args))
        try:
            result = await self.next.execute_workflow(input)
        except workflow.ContinueAsNewError:
            await self._end(started, Verb.CONTINUED_AS_NEW)
            raise
        except (Exception, asyncio.CancelledError) as error:
            if (verb := _verdict(error)) is not None:
                await self._end(started, verb, error=_error(error) if verb is Verb.FAILED else None)
            raise
        await self._end(started, Verb.COMPLETED, output=self._json([result]))
        return result

    async def _end(self, started: asyncio.Future[Any], verb: Verb, **fields: object) -> None:
        await _settled(started)
        await _settled(self._say(verb, **fields))

    def _say(self, verb: Verb, **fields: object) -> asyncio.Future[Any]:
        return workflow.start_local_activity(
            PUBLISH_ACTIVITY,
            _report(verb, {name: value for name, value in fields.items() if value is not None}),
            schedule_to_close_timeout=self.patience,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=ATTEMPTS),
        )

    def _json(self, values: Sequence[Any]) -> object:
        """Return the JSON text of values, or what stands in its place, in a form that any converter carries."""
        if not self.payloads:
            return None
        try:
            json = json_of(workflow.payload_converter().to_payloads(values))
        except Exception:  # noqa: BLE001 - a converter is the user's code; its errors are the workflow's to raise
            return None
        return json.model_dump() if isinstance(json, Withheld) else json and str(json)


def _report(verb: Verb, fields: dict[str, object]) -> dict[str, object]:
    """Return what the activity needs to make the event: JSON of the plainest kind."""
    info = workflow.info()
    run = RunKey(info.namespace, info.workflow_id, info.run_id)
    data = {**names.run_fields(run), **names.names(info.workflow_type, info.raw_memo), **fields}
    return {
        "id": names.worker_event_id(run, verb),
        "source": names.source(run.namespace),
        "verb": str(verb),
        "time": workflow.now().isoformat(),  # the server's clock, and the same in every repetition
        "subject": str(run.id),
        "data": data,
    }


def _family() -> dict[str, object]:
    info = workflow.info()
    parent, root = info.parent, info.root
    if parent is None:
        return {}
    return {
        "parent": names.reference(parent.namespace, parent.workflow_id, parent.run_id),
        "root": names.reference(parent.namespace, root.workflow_id, root.run_id) if root else None,
    }


def _verdict(error: BaseException) -> Verb | None:
    """Return how this error ends the run, by the SDK's own rule; None where it fails only a task, or a worker stops."""
    if workflow.cancellation_reason() is not None and is_cancelled_exception(error):
        return Verb.CANCELLED
    if isinstance(error, asyncio.CancelledError) or not workflow.is_failure_exception(error):
        return None
    return Verb.FAILED


def _error(error: BaseException) -> dict[str, Any]:
    failure = Failure()
    DefaultFailureConverter().to_failure(error, workflow.payload_converter(), failure)
    return error_of(failure)


async def _settled(publishing: asyncio.Future[Any]) -> None:
    """Wait until an event is published or given up; a late request to cancel must not change how the run ends."""
    while not publishing.done():
        try:
            await workflow.wait([publishing])
        except asyncio.CancelledError:
            continue
    if not publishing.cancelled() and (error := publishing.exception()) is not None:
        workflow.logger.warning("an event was not published; the sync will tell it", extra={"error": str(error)})
