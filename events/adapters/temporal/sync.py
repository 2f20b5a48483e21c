"""The server's half: reads what the server has decided and publishes it, as often as you like.

One pass reads every open run, and every run that closed since a *place* less an overlap. The overlap makes up for a
visibility store that is behind its server. What is read again is published again, and changes nothing. The place is the
latest instant that the server itself has named, so clocks that differ do no harm.

The SDK's own `list_workflows` and `describe` raise an error at a paused run (a status that their enumeration lacks, in
temporalio 1.35), so the service below them is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from ...errors import InvalidEvent
from ...models import Event
from ...position import Position
from .decoding import decoded
from .history import history_events

log = logging.getLogger(__name__)

OVERLAP = timedelta(minutes=10)  # visibility stores are behind by seconds; an overloaded one by minutes
CONCURRENCY = 16  # histories in flight: enough to hide the round trip, too few to trouble the server
PAGE_SIZE = 500
RPC_TIMEOUT = timedelta(seconds=10)  # a server that has not answered by then is down


class EventPublisher(Protocol):
    """What the sync needs of a publisher."""

    async def publish(self, event: Event) -> Position:
        """Publish one event; raises PublishError."""
        ...


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a pass has done.

    Attributes:
        place: where the next pass begins, less its overlap; None while the server has never had a run.
        runs: runs read.
        events: events published.
        refused: runs that the contract refuses, each named in the log.
    """

    place: datetime | None
    runs: int = 0
    events: int = 0
    refused: int = 0


class TemporalSync:
    """Publishes what a Temporal server decided, with authority `server`.

    Args:
        client: connected to the namespace to read.
        publisher: an open ExecutionPublisher.
        overlap: how far a pass reads back behind its place.
        concurrency: runs read at the same time.
        payloads: whether inputs and outputs are published.
        progress: told after every run.
    """

    def __init__(
        self,
        client: Client,
        publisher: EventPublisher,
        *,
        overlap: timedelta = OVERLAP,
        concurrency: int = CONCURRENCY,
        payloads: bool = True,
        progress: Callable[[SyncReport], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._publisher = publisher
        self._overlap = overlap
        self._concurrency = concurrency
        self._payloads = payloads
        self._progress = progress
        self._closed: dict[str, datetime] = {}  # published runs that cannot change any more, by run id
        self._report = SyncReport(None)

    async def run_once(self, since: datetime | None) -> SyncReport:
        """Publish every open run, and every run that closed since a place; all runs if it is None.

        Raises:
            RPCError: Temporal does not answer or refuses.
            PublishError: Kafka does not acknowledge. In both cases some events may be out; the next pass repeats them.
        """
        self._report = SyncReport(since)
        slots = asyncio.Semaphore(self._concurrency)
        try:
            async with asyncio.TaskGroup() as group:
                async for info in self._list(since):
                    await slots.acquire()
                    group.create_task(self._sync(info, slots))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # one reason is enough, and callers can catch it
        self._forget()
        return self._report

    async def _list(self, since: datetime | None) -> AsyncIterator[WorkflowExecutionInfo]:
        query = f'CloseTime IS NULL OR CloseTime >= "{(since - self._overlap).isoformat()}"' if since else ""
        token = b""
        while True:
            page = await self._client.workflow_service.list_workflow_executions(
                ListWorkflowExecutionsRequest(
                    namespace=self._client.namespace, query=query, page_size=PAGE_SIZE, next_page_token=token
                ),
                retry=True,
                timeout=RPC_TIMEOUT,
            )
            for info in page.executions:
                yield info
            token = page.next_page_token
            if not token:
                return

    async def _sync(self, info: WorkflowExecutionInfo, slots: asyncio.Semaphore) -> None:
        try:
            if info.execution.run_id not in self._closed:
                await self._publish(info.execution)
        finally:
            slots.release()

    async def _publish(self, execution: WorkflowExecution) -> None:
        try:
            description = await self._describe(execution)
            history = [entry async for entry in self._history(execution)]
            events = history_events(description, history, namespace=self._client.namespace, payloads=self._payloads)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return  # deleted, or past its retention, since it was listed
        except InvalidEvent as error:
            what = "run %s of %s cannot be published: %s"
            log.warning(what, execution.run_id, execution.workflow_id, error, extra={"event": "run_refused"})
            self._count(description, events=0, refused=1)
            return
        await asyncio.gather(*(self._publisher.publish(event) for event in events))
        self._count(description, events=len(events))

    async def _describe(self, execution: WorkflowExecution) -> DescribeWorkflowExecutionResponse:
        return await self._client.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(namespace=self._client.namespace, execution=execution),
            retry=True,
            timeout=RPC_TIMEOUT,
        )

    async def _history(self, execution: WorkflowExecution) -> AsyncIterator[HistoryEvent]:
        token = b""
        while True:
            page = await self._client.workflow_service.get_workflow_execution_history(
                GetWorkflowExecutionHistoryRequest(
                    namespace=self._client.namespace, execution=execution, next_page_token=token
                ),
                retry=True,
                timeout=RPC_TIMEOUT,
            )
            for entry in page.history.events:
                yield await decoded(entry, self._client, execution.workflow_id)
            token = page.next_page_token
            if not token:
                return

    def _count(self, description: DescribeWorkflowExecutionResponse, *, events: int, refused: int = 0) -> None:
        info = description.workflow_execution_info
        seen = [info.start_time.ToDatetime(tzinfo=UTC)]
        if info.HasField("close_time"):
            seen.append(info.close_time.ToDatetime(tzinfo=UTC))
            self._closed[info.execution.run_id] = seen[-1]
        held = self._report
        self._report = SyncReport(
            _latest([*seen, *([held.place] if held.place else [])]),
            held.runs + 1,
            held.events + events,
            held.refused + refused,
        )
        self._progress(self._report)

    def _forget(self) -> None:
        """Remember closed runs only as long as a pass can meet them again."""
        if self._report.place is not None:
            horizon = self._report.place - self._overlap
            self._closed = {run_id: closed for run_id, closed in self._closed.items() if closed >= horizon}


def _latest(times: Sequence[datetime]) -> datetime:
    return max(times)
