"""The server's half, pure: the history of one run as events of the contract.

The rules
---------
- A run is *scheduled* when it is created. It *starts* with its first workflow task; a start delay, a cron schedule, a
  retry's back-off or a queue without workers keep it pending until then.
- `started_at` is the server's `execution_time`: its `start_time`, later by the delay where there is one. So start,
  end and duration are exactly those that the server shows.
- A run that ends before its first task reports no start; the duration that the server counts is reported all the same.
- A reset makes a new run whose history begins with a copy of the old one's. What was copied did not happen to it.

A longer history of the same run gives the same events and more, so reading a run again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from ... import limits
from ...codec import validate
from ...identity import RunKey
from ...models import Event
from ...publisher.error_info import printable
from ...vocabulary import VERBS, Authority, Verb
from . import names
from .failures import error_of
from .payloads import json_of

_MILLISECOND = timedelta(milliseconds=1)
_TASK_STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
_CANCEL_REQUESTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED


@dataclass(frozen=True, slots=True)
class Run:
    """What the events of one history share.

    Attributes:
        key: the run's three names.
        named: what its type and memo state.
        start: how the server says it began.
        start_time: when it was created.
        execution_time: when it was due to start.
        first_task: the id of the event by which a worker first picked it up; 0 while nobody has.
        forked_after: the id of the last event that a reset copied; 0 for a run that is no reset.
        reset_run_id: the run that a reset of this one made; empty if none.
        cancel_request: the last request to cancel it, if any.
        payloads: whether input and output may be published.
    """

    key: RunKey
    named: dict[str, str]
    start: WorkflowExecutionStartedEventAttributes
    start_time: datetime
    execution_time: datetime
    first_task: int
    forked_after: int
    reset_run_id: str
    cancel_request: HistoryEvent | None
    payloads: bool


Fields = dict[str, Any]


def history_events(
    description: DescribeWorkflowExecutionResponse,
    history: Sequence[HistoryEvent],
    *,
    namespace: str = "default",
    payloads: bool = True,
) -> list[Event]:
    """Return the events that one run's history tells, in its order.

    Args:
        description: what the server says of the run now.
        history: its events so far, from the first one; payloads are expected as they were before any codec.
        namespace: where the run lives.
        payloads: whether input and output may be published.

    Raises:
        InvalidEvent: the contract refuses the run, such as a workflow id longer than it allows.
    """
    if not history:
        return []
    run = _run(description, history, namespace, payloads=payloads)
    return [_event(run, entry) for entry in history if _tells(run, entry)]


def _run(
    description: DescribeWorkflowExecutionResponse, history: Sequence[HistoryEvent], namespace: str, *, payloads: bool
) -> Run:
    info = description.workflow_execution_info
    start = history[0].workflow_execution_started_event_attributes
    start_time = _time(info.start_time)
    forked_after = max((entry.event_id for entry in history if _is_fork(entry)), default=0)
    tasks = [entry.event_id for entry in history if entry.event_type == _TASK_STARTED]
    requests = [entry for entry in history if entry.event_id > forked_after and entry.event_type == _CANCEL_REQUESTED]
    return Run(
        key=RunKey(namespace, info.execution.workflow_id, info.execution.run_id),
        named=names.names(start.workflow_type.name, start.memo.fields),
        start=start,
        start_time=start_time,
        execution_time=max(start_time, _time(info.execution_time)) if info.HasField("execution_time") else start_time,
        first_task=next((id_ for id_ in tasks if id_ > forked_after), 0),
        forked_after=forked_after,
        reset_run_id=description.workflow_extended_info.reset_run_id,
        cancel_request=requests[-1] if requests else None,
        payloads=payloads,
    )


def _is_fork(entry: HistoryEvent) -> bool:
    cause = entry.workflow_task_failed_event_attributes.cause
    return cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW


def _tells(run: Run, entry: HistoryEvent) -> bool:
    """Whether the contract has a word for it, and it happened to this run."""
    if entry.event_type == _TASK_STARTED:
        return entry.event_id == run.first_task
    return entry.event_type in TRANSLATIONS and (entry.event_id > run.forked_after or entry.event_id == 1)


def _event(run: Run, entry: HistoryEvent) -> Event:
    verb, fields = TRANSLATIONS[entry.event_type]
    time = run.start_time if verb is Verb.SCHEDULED else _time(entry.event_time)
    said = fields(run, entry) | (_end(run, time) if VERBS[verb].terminal else {})
    data = {
        **names.run_fields(run.key),
        **run.named,
        "authority": Authority.SERVER,
        **{name: value for name, value in said.items() if value not in (None, "")},
    }
    return validate(
        {
            "id": names.server_event_id(run.key, entry.event_id),
            "source": names.source(run.key.namespace),
            "verb": verb,
            "time": time,
            "subject": str(run.key.id),
            "sequence": f"{entry.event_id:020d}",
            "data": data,
        }
    )


def _end(run: Run, time: datetime) -> Fields:
    """Return what every end carries, so that it stands alone when the rest of the log has expired."""
    began = {"started_at": run.execution_time} if run.first_task else {}
    return {**began, "duration_ms": max(0, (time - run.execution_time) // _MILLISECOND)}


def _scheduled(run: Run, entry: HistoryEvent) -> Fields:
    del entry
    start = run.start
    parent = start.parent_workflow_execution
    namespace = start.parent_workflow_namespace or run.key.namespace
    root = start.root_workflow_execution if parent.run_id else None  # a run without a parent is its own root
    return {
        "scheduled_for": run.execution_time if run.execution_time > run.start_time else None,
        "queue": start.task_queue.name,
        "input": json_of(start.input.payloads) if run.payloads else None,
        "parent": names.reference(namespace, parent.workflow_id, parent.run_id),
        "root": names.reference(namespace, root.workflow_id, root.run_id) if root else None,
    }


def _started(run: Run, entry: HistoryEvent) -> Fields:
    del entry
    return {"started_at": run.execution_time}


def _completed(run: Run, entry: HistoryEvent) -> Fields:
    said = entry.workflow_execution_completed_event_attributes
    output = json_of(said.result.payloads) if run.payloads else None
    return {"output": output, "next_run_id": said.new_execution_run_id or run.reset_run_id}


def _failed(run: Run, entry: HistoryEvent) -> Fields:
    said = entry.workflow_execution_failed_event_attributes
    return {"error": error_of(said.failure), "next_run_id": said.new_execution_run_id or run.reset_run_id}


def _cancelled(run: Run, entry: HistoryEvent) -> Fields:
    del entry
    asked = _cancel_requested(run, run.cancel_request) if run.cancel_request else {}
    return {**asked, "next_run_id": run.reset_run_id}


def _terminated(run: Run, entry: HistoryEvent) -> Fields:
    said = entry.workflow_execution_terminated_event_attributes
    return {**_who(said.reason, said.identity), "next_run_id": run.reset_run_id}


def _timed_out(run: Run, entry: HistoryEvent) -> Fields:
    said = entry.workflow_execution_timed_out_event_attributes
    start = run.start
    expires = start.workflow_execution_expiration_time
    whole = start.HasField("workflow_execution_expiration_time") and _time(entry.event_time) >= _time(expires)
    timeout = start.workflow_execution_timeout if whole else start.workflow_run_timeout
    return {
        "timeout_kind": "execution" if whole else "run",
        "timeout_ms": timeout.ToTimedelta() // _MILLISECOND,
        "next_run_id": said.new_execution_run_id or run.reset_run_id,
    }


def _continued_as_new(run: Run, entry: HistoryEvent) -> Fields:
    said = entry.workflow_execution_continued_as_new_event_attributes
    error = error_of(said.failure) if said.HasField("failure") else None
    return {"next_run_id": said.new_execution_run_id or run.reset_run_id, "error": error}


def _cancel_requested(run: Run, entry: HistoryEvent) -> Fields:
    del run
    said = entry.workflow_execution_cancel_requested_event_attributes
    return _who(said.cause, said.identity)


def _paused(run: Run, entry: HistoryEvent) -> Fields:
    del run
    said = entry.workflow_execution_paused_event_attributes
    return _who(said.reason, said.identity)


def _resumed(run: Run, entry: HistoryEvent) -> Fields:
    del run
    said = entry.workflow_execution_unpaused_event_attributes
    return _who(said.reason, said.identity)


def _who(reason: str, identity: str) -> Fields:
    return {
        "reason": _cut(reason, limits.TEXT_BYTES_MAX),
        "actor": _cut(identity, limits.IDENTIFIER_BYTES_MAX),
    }


def _cut(text: str, bytes_max: int) -> str:
    return printable(text).encode()[:bytes_max].decode(errors="ignore")


def _time(timestamp: Timestamp) -> datetime:
    """Return an instant to the microsecond, cut as the SDK cuts it."""
    return timestamp.ToDatetime(tzinfo=UTC)


# What happened on the server, the verb that says it, and the fields that the verb then carries.
TRANSLATIONS: dict[EventType.ValueType, tuple[Verb, Callable[[Run, HistoryEvent], Fields]]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: (Verb.SCHEDULED, _scheduled),
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED: (Verb.STARTED, _started),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: (Verb.CANCEL_REQUESTED, _cancel_requested),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_PAUSED: (Verb.PAUSED, _paused),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UNPAUSED: (Verb.RESUMED, _resumed),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: (Verb.COMPLETED, _completed),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: (Verb.FAILED, _failed),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: (Verb.CANCELLED, _cancelled),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: (Verb.TERMINATED, _terminated),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: (Verb.TIMED_OUT, _timed_out),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: (Verb.CONTINUED_AS_NEW, _continued_as_new),
}
