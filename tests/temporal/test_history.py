"""The rules of the server's half, on histories written by hand: what a real server shows too rarely."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from events import Event, fold, row
from events.adapters.temporal import history_events
from events.adapters.temporal.failures import error_of
from events.adapters.temporal.payloads import json_of
from events.payload import Withheld

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DELAY = timedelta(seconds=5)


def stamp(seconds: float) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(NOON + timedelta(seconds=seconds))
    return found


def description(start: float = 0, execution: float | None = None) -> DescribeWorkflowExecutionResponse:
    found = DescribeWorkflowExecutionResponse()
    info = found.workflow_execution_info
    info.execution.workflow_id, info.execution.run_id = "invoice-42", "run-2"
    info.start_time.CopyFrom(stamp(start))
    info.execution_time.CopyFrom(stamp(start if execution is None else execution))
    return found


def history(*entries: tuple[str, float] | tuple[str, float, dict[str, Any]]) -> list[HistoryEvent]:
    """Events by the short names of their types, at seconds, with attributes."""
    found = []
    for id_, (name, seconds, *more) in enumerate(entries, start=1):
        entry = HistoryEvent(event_id=id_, event_type=EventType.Value(f"EVENT_TYPE_{name}"))
        entry.event_time.CopyFrom(stamp(seconds))
        attributes = getattr(entry, f"{name.lower()}_event_attributes")
        attributes.SetInParent()
        for field, value in (more[0] if more else {}).items():
            setattr(attributes, field, value)
        found.append(entry)
    found[0].workflow_execution_started_event_attributes.workflow_type.name = "Invoice"
    return found


START = ("WORKFLOW_EXECUTION_STARTED", 0.0)
PICKED_UP = ("WORKFLOW_TASK_STARTED", 1.0)


def verbs(events: list[Event]) -> list[str]:
    return [str(event.verb) for event in events]


def test_no_history_tells_nothing() -> None:
    """A history that the server has already thrown away gives no event."""
    assert history_events(description(), []) == []


def test_only_the_first_task_is_a_start() -> None:
    """A run starts once, with its first workflow task; the later ones are its own business."""
    told = history_events(description(), history(START, PICKED_UP, ("WORKFLOW_TASK_STARTED", 3.0)))
    assert verbs(told) == ["scheduled", "started"]
    assert told[1].time == NOON + timedelta(seconds=1)
    assert told[1].data.started_at == NOON


def test_event_is_known_by_its_place_in_the_history() -> None:
    """Ids are made of namespace, run and event id, so that every sync gives the same ones."""
    told = history_events(description(), history(START, PICKED_UP), namespace="billing")
    assert [event.id for event in told] == ["temporal:billing:run-2:1", "temporal:billing:run-2:2"]
    assert {event.source for event in told} == {"/temporal/billing"}
    assert {event.data.namespace for event in told} == {"billing"}
    assert {event.data.attempt for event in told} == {1}


def test_what_a_reset_copied_did_not_happen() -> None:
    """A run made by a reset begins there: the pause, the request and the task that were copied are not its own."""
    reset = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
    copied = [START, PICKED_UP, ("WORKFLOW_EXECUTION_PAUSED", 2.0), ("WORKFLOW_EXECUTION_CANCEL_REQUESTED", 3.0)]
    fork = ("WORKFLOW_TASK_FAILED", 9.0, {"cause": reset, "new_run_id": "run-2"})
    waiting = history_events(description(start=9), history(*copied, fork))
    assert verbs(waiting) == ["scheduled"]
    assert waiting[0].time == NOON + timedelta(seconds=9)
    told = history_events(description(start=9), history(*copied, fork, ("WORKFLOW_TASK_STARTED", 10.0)))
    assert verbs(told) == ["scheduled", "started"]
    assert row(fold(told)).started_at == NOON + timedelta(seconds=9)
    assert row(fold(told)).cancel_requested_at is None


def test_run_that_never_ran_reports_its_end_and_no_start() -> None:
    """A run that ended in the queue shows when it was created and ended, and the duration that the server counts."""
    shown = row(fold(history_events(description(), history(START, ("WORKFLOW_EXECUTION_TIMED_OUT", 4.5)))))
    assert (shown.status, shown.start_reported) == ("timed_out", False)
    assert (shown.started_at, shown.duration_ms) == (NOON, 4500)


def test_duration_before_the_due_time_is_zero() -> None:
    """A run that was stopped before it was due took no time, where the server would count backwards."""
    shown = row(
        fold(history_events(description(execution=600), history(START, ("WORKFLOW_EXECUTION_TERMINATED", 1.0))))
    )
    assert shown.duration_ms == 0
    assert shown.scheduled_for == NOON + timedelta(seconds=600)


def test_cancelled_says_why_and_by_whom_it_was_asked() -> None:
    """The end of a cancelled run carries what the request for it said."""
    asked = {"cause": "no longer wanted", "identity": "ada"}
    told = history_events(
        description(),
        history(
            START, PICKED_UP, ("WORKFLOW_EXECUTION_CANCEL_REQUESTED", 2, asked), ("WORKFLOW_EXECUTION_CANCELED", 3)
        ),
    )
    shown = row(fold(told))
    assert (shown.status, shown.reason, shown.actor) == ("cancelled", "no longer wanted", "ada")
    assert shown.cancel_requested_at == NOON + timedelta(seconds=2)


def test_words_too_long_for_the_contract_are_cut() -> None:
    """A reason or an identity of any length and any characters is told as far as the contract holds it."""
    said = {"reason": "ä" * 10_000, "identity": "nul \x00 " + "ä" * 600}
    (_, end) = history_events(description(), history(START, ("WORKFLOW_EXECUTION_TERMINATED", 1.0, said)))
    assert isinstance(end.data.reason, str)
    assert len(end.data.reason.encode()) == 8192
    assert end.data.actor is not None
    assert end.data.actor.startswith("nul \\x00 ä")


def test_error_names_the_whole_chain_and_its_root() -> None:
    """An activity's failure says what failed and why: the root's type, and the last stack trace that there is."""
    failure = Failure(message="Activity task failed", stack_trace="outer")
    failure.activity_failure_info.SetInParent()
    failure.cause.message, failure.cause.stack_trace = "no money", "inner"
    failure.cause.application_failure_info.type = "Broke"
    assert error_of(failure) == {
        "message": "Activity task failed: no money",
        "type": "Broke",
        "stack_trace": "inner",
        "retryable": True,
    }


def test_failure_with_encoded_words_is_read_or_left() -> None:
    """Words that a failure converter moved aside are read where they are plain, and left where they are encrypted."""
    failure = Failure(message="Encoded failure")
    failure.timeout_failure_info.SetInParent()
    failure.encoded_attributes.data = b'{"message": "too late", "stack_trace": "here"}'
    assert (error_of(failure)["message"], error_of(failure)["type"]) == ("too late", "TimeoutError")
    failure.encoded_attributes.data = b"secret"
    assert error_of(failure)["message"] == "Encoded failure"
    assert error_of(failure)["retryable"] is None


def test_endless_chain_ends() -> None:
    """A chain of causes without end is followed only so far."""
    failure = Failure(message="0")
    link = failure
    for number in range(1, 30):
        link = link.cause
        link.message = str(number)
    assert error_of(failure)["message"] == ": ".join(str(number) for number in range(11))


def payload(data: bytes, encoding: bytes = b"json/plain") -> Payload:
    return Payload(metadata={"encoding": encoding}, data=data)


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        ([], None),
        ([payload(b"", b"binary/null")], None),
        ([payload(b"null")], None),
        ([payload(b'{"sum": 1.50}')], '{"sum": 1.50}'),
        ([payload(b"1"), payload(b"", b"binary/null")], "[1,null]"),
        ([payload(b'{"a":1}', b"json/protobuf")], '{"a":1}'),
    ],
)
def test_payloads_keep_their_text(payloads: list[Payload], expected: str | None) -> None:
    """One value is itself, several are an array, none is nothing; every digit stays as it was."""
    assert json_of(payloads) == expected


@pytest.mark.parametrize(
    ("data", "encoding", "code"),
    [
        (b"\x01\x02", b"binary/plain", "not_json"),
        (b"{", b"json/plain", "not_json"),
        (b"\xff", b"json/plain", "not_json"),
        (b"NaN", b"json/plain", "not_finite"),
        (b'"\\u0000"', b"json/plain", "nul_character"),
        (b'"' + b"x" * 300_000 + b'"', b"json/plain", "too_large"),
    ],
)
def test_payload_that_cannot_be_shown_is_a_marker(data: bytes, encoding: bytes, code: str) -> None:
    """What is not JSON, or more than the contract holds, becomes a marker with its size."""
    marker = json_of([payload(data, encoding)])
    assert isinstance(marker, Withheld)
    assert (marker.code, marker.size) == (code, len(data))


def test_missing_package_is_named() -> None:
    """Without temporalio the adapter says which extra to install, instead of naming a module nobody knows."""
    code = "import sys; sys.modules['temporalio'] = None; import events.adapters.temporal"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert "pip install 'workflow-executions[temporal]'" in ended.stderr
