"""The worker's half outside of workflows: the plugin, and the activity that publishes."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from ...codec import validate
from ...errors import InvalidEvent
from ...models import JSON_FIELDS, Event
from ...payload import JsonText, Withheld
from ...position import Position
from ...publisher.errors import PublishError
from .interceptor import PUBLISH_ACTIVITY, ExecutionInterceptor

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=5)  # less than a workflow task, which lasts 10 s unless told otherwise
REST_SECONDS = 10.0  # after Kafka has not answered one run, no other asks for so long
_PACKAGE = __name__.removesuffix(".adapters.temporal.plugin")


class EventPublisher(Protocol):
    """What the activity needs of a publisher."""

    async def publish(self, event: Event) -> Position:
        """Publish one event; raises PublishError."""
        ...


class WorkflowExecutionsPlugin(SimplePlugin):
    """Publishes the life of every workflow that a worker runs, with authority `worker`.

        async with ExecutionPublisher(bootstrap_servers=…, source="/billing") as publisher:
            worker = Worker(client, task_queue=…, workflows=[…], plugins=[WorkflowExecutionsPlugin(publisher)])
            await worker.run()

    Args:
        publisher: an open ExecutionPublisher, of the event loop that the worker runs in.
        patience: how long one event may take before the workflow goes on without it.
        payloads: whether inputs and outputs are published. They are published as the workflow sees them, before any
            codec encrypts them.
    """

    def __init__(self, publisher: EventPublisher, *, patience: timedelta = PATIENCE, payloads: bool = True) -> None:
        activities = [ReportPublisher(publisher, patience=patience).publish]
        super().__init__(
            "workflow-executions",
            interceptors=[ExecutionInterceptor(patience=patience, payloads=payloads)],
            activities=activities,
            workflow_runner=_with_passthrough,
        )


class ReportPublisher:
    """The activity, with a rest after a failure: one run waits for a broker that is down, the others do not."""

    def __init__(
        self, publisher: EventPublisher, *, patience: timedelta, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._publisher = publisher
        self._patience_seconds = patience.total_seconds()
        self._clock = clock
        self._rests_until = 0.0

    @activity.defn(name=PUBLISH_ACTIVITY)
    async def publish(self, report: dict[str, Any]) -> None:
        """Publish what a run says of itself.

        Raises:
            ApplicationError: the contract refuses it, or Kafka does not take it; the workflow goes on without it.
        """
        if self._clock() < self._rests_until:
            return
        try:
            async with asyncio.timeout(self._patience_seconds * 0.9):  # ends before the server gives up the activity
                await self._publisher.publish(event_of(report))
        except InvalidEvent as error:
            raise ApplicationError(str(error), type="InvalidEvent", non_retryable=True) from error
        except PublishError as error:
            raise ApplicationError(str(error), type="PublishError") from error
        except TimeoutError as error:
            self._rests_until = self._clock() + REST_SECONDS
            what = "Kafka does not answer; workflows go on without events for %g s"
            log.warning(what, REST_SECONDS, extra={"event": "publishing_rests"})
            raise ApplicationError("Kafka does not answer", type="PublishError", non_retryable=True) from error


def event_of(report: Mapping[str, Any]) -> Event:
    """Return the event that a report of the interceptor describes.

    Raises:
        InvalidEvent: the contract refuses it.
    """
    data = {name: _payload(value) if name in JSON_FIELDS else value for name, value in report["data"].items()}
    return validate({**report, "data": data})


def _payload(value: object) -> object:
    return JsonText(value) if isinstance(value, str) else Withheld.model_validate(value)


def _with_passthrough(runner: WorkflowRunner | None) -> WorkflowRunner:
    """Let workflows that share a module with their worker import this package without loading it again."""
    runner = runner or SandboxedWorkflowRunner()
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner
    return dataclasses.replace(runner, restrictions=runner.restrictions.with_passthrough_modules(_PACKAGE))
