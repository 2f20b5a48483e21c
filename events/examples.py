"""One example event per verb, from the life of invoices that are reminded, paid, retried and stopped.

They go through the same validation as any other event, and together they carry every field of the contract.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from .codec import validate
from .identity import RunKey
from .models import Event
from .vocabulary import Verb

_BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_WORKFLOW = {"workflow_id": "send-invoice", "temporal_workflow_id": "send-invoice-2026-0042"}
_RUN = UUID("0195565a-8a00-7c51-9d2e-5f1c3a7b9e04")
_NEXT_RUN = "0195565f-1de0-7b0e-8f43-b1d0c9a2e675"
_MONTH_END = {"temporal_workflow_id": "month-end-2026-02", "temporal_run_id": "01955650-3f00-7aa9-b6d5-0c8e7714d2fb"}
_DECLINED = {
    "message": "the card was declined",
    "type": "CardDeclined",
    "code": "card_declined",
    "stack_trace": 'File "billing/charge.py", line 88, in charge',
    "retryable": False,
}


def _at(seconds: float) -> datetime:
    return _BEGIN + timedelta(seconds=seconds)


# When it happens in seconds after the beginning, and what the event says besides the run's names.
_SAID: dict[Verb, tuple[float, dict[str, Any]]] = {
    Verb.SCHEDULED: (0, {"scheduled_for": _at(60), "queue": "invoices", "user_id": "ada"}),
    Verb.STARTED: (
        60.25,
        {
            "started_at": _at(60.25),
            "input": {"invoice": 42, "amount": "129.90", "currency": "EUR"},
            "user_id": "ada",
            "workflow_name": "Send invoice",
            "orchestrator": "temporal",
            "namespace": "default",
            "parent": _MONTH_END,
            "root": _MONTH_END,
            "labels": {"team": "billing", "tier": "gold"},
        },
    ),
    Verb.HEARTBEAT: (
        75,
        {"progress": {"done": 2, "total": 4, "message": "rendering the invoice"}, "activities_executed": 2},
    ),
    Verb.PAUSED: (90, {"reason": "waiting for the customer's new address", "actor": "grace"}),
    Verb.RESUMED: (3_690, {"reason": "the address is known", "actor": "grace"}),
    Verb.RETRYING: (
        3_700,
        {"error": {"message": "the mail server does not answer", "type": "TimeoutError", "retryable": True}},
    ),
    Verb.CANCEL_REQUESTED: (3_800, {"reason": "the order was withdrawn", "actor": "ada"}),
    Verb.COMPLETED: (
        3_905.5,
        {"output": {"delivered": True, "message_id": "m-9313"}, "duration_ms": 3_845_250, "activities_executed": 4},
    ),
    Verb.FAILED: (3_905.5, {"error": _DECLINED, "duration_ms": 3_845_250, "activities_executed": 3}),
    Verb.CANCELLED: (3_805, {"reason": "the order was withdrawn", "actor": "ada"}),
    Verb.TERMINATED: (
        86_400,
        {
            "authority": "operator",
            "attempt": 1,
            "completed_at": _at(4_000),
            "reason": "its machine was lost",
            "actor": "grace",
        },
    ),
    Verb.TIMED_OUT: (
        7_260.25,
        {
            "authority": "server",
            "revises": True,
            "timeout_kind": "start_to_close",
            "timeout_ms": 7_200_000,
            "error": {"message": "start_to_close: no end within 2 hours", "type": "TimeoutError"},
        },
    ),
    Verb.CONTINUED_AS_NEW: (3_905.5, {"authority": "server", "next_run_id": _NEXT_RUN}),
    Verb.DELETED: (90_000, {"reason": "a trial run", "actor": "grace"}),
    Verb.RESTORED: (90_060, {"reason": "it was no trial run", "actor": "grace"}),
}


def example(verb: Verb) -> Event:
    """Return the example of a verb; the same bytes in every process and for ever."""
    seconds, said = _SAID[verb]
    names = {**_WORKFLOW, "temporal_run_id": str(_RUN)}
    key = str(RunKey("default", names["temporal_workflow_id"], names["temporal_run_id"]).id)
    return validate(
        {
            "specversion": "1.0",
            "id": str(uuid5(_RUN, verb)),
            "source": "/billing",
            "verb": verb,
            "time": _at(seconds),
            "subject": key,
            "partitionkey": key,
            "sequence": f"{int(seconds):08}",
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "data": {**names, **said},
        }
    )


def examples() -> dict[Verb, Event]:
    """Return the examples of all verbs, in the order of the verbs."""
    return {verb: example(verb) for verb in Verb}
