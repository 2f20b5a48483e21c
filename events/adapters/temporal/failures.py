"""Failures of Temporal as the contract's errors: the whole chain in the message, the root in type and trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from temporalio.api.failure.v1 import Failure

from ...publisher.error_info import MESSAGE_CHARACTERS_MAX, STACK_TRACE_CHARACTERS_MAX, printable

CHAIN_MAX = 10  # a child's activity's failure is three deep; more is a loop of somebody's making

_KINDS = {
    "application_failure_info": "ApplicationError",
    "timeout_failure_info": "TimeoutError",
    "canceled_failure_info": "CancelledError",
    "terminated_failure_info": "TerminatedError",
    "server_failure_info": "ServerError",
    "activity_failure_info": "ActivityError",
    "child_workflow_execution_failure_info": "ChildWorkflowError",
    "nexus_operation_execution_failure_info": "NexusOperationError",
    "nexus_handler_failure_info": "NexusHandlerError",
}


def error_of(failure: Failure) -> dict[str, Any]:
    """Return message, type, stack trace and, for errors of an application, whether another attempt can help."""
    chain = list(_chain(failure))
    texts = [_texts(link) for link in chain]
    applications = [link.application_failure_info for link in chain if link.HasField("application_failure_info")]
    traces = [trace for _, trace in texts if trace]
    return {
        "message": printable(": ".join(message for message, _ in texts if message))[:MESSAGE_CHARACTERS_MAX],
        "type": printable(_type(chain[-1])),
        "stack_trace": printable(traces[-1])[-STACK_TRACE_CHARACTERS_MAX:] if traces else None,
        "retryable": not any(info.non_retryable for info in applications) if applications else None,
    }


def _chain(failure: Failure) -> Iterator[Failure]:
    yield failure
    for _ in range(CHAIN_MAX):
        if not failure.HasField("cause"):
            return
        failure = failure.cause
        yield failure


def _type(failure: Failure) -> str:
    kind = failure.WhichOneof("failure_info") or ""
    return failure.application_failure_info.type or _KINDS.get(kind, "Failure")


def _texts(failure: Failure) -> tuple[str, str]:
    """Return message and stack trace, which a failure converter may have moved out of plain sight."""
    if failure.HasField("encoded_attributes"):
        try:
            hidden = orjson.loads(failure.encoded_attributes.data)
            return str(hidden["message"]), str(hidden["stack_trace"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            pass  # still encrypted: the plain words are all there is
    return failure.message, failure.stack_trace
