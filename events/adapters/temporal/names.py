"""What both halves call a run: one rule, so that they speak of the same execution in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from temporalio.api.common.v1 import Payload

from ... import limits
from ...identity import RunKey

# The keys of a workflow's memo that say what Temporal does not know.
WORKFLOW_ID = "workflow_id"  # the workflow definition; the workflow type where absent
WORKFLOW_NAME = "workflow_name"  # its name for people
USER_ID = "user_id"  # who started it


def names(workflow_type: str, memo: Mapping[str, Payload]) -> dict[str, str]:
    """Return the fields that a workflow's type and memo state: workflow_id, and workflow_name and user_id if known."""
    stated = {key: _text(memo[key]) for key in (WORKFLOW_ID, WORKFLOW_NAME, USER_ID) if key in memo}
    return {WORKFLOW_ID: workflow_type, **{key: value for key, value in stated.items() if value}}


def run_fields(run: RunKey) -> dict[str, str]:
    """Return the fields that name a run."""
    return run._asdict()


def source(namespace: str) -> str:
    """Return the source of a namespace's events; both halves share it, and their ids differ."""
    return f"/temporal/{namespace}"


def worker_event_id(run: RunKey, verb: str) -> str:
    """Return the id of what a worker says: the same however often it says it."""
    return f"temporal:{run.namespace}:{run.temporal_run_id}:w:{verb}:1"


def server_event_id(run: RunKey, event_id: int) -> str:
    """Return the id of what the server decided: that of the event in the run's history."""
    return f"temporal:{run.namespace}:{run.temporal_run_id}:{event_id}"


def reference(namespace: str, workflow_id: str, run_id: str) -> dict[str, Any] | None:
    """Return a reference to another run, or None where Temporal names none."""
    return RunKey(namespace, workflow_id, run_id)._asdict() if workflow_id and run_id else None


def _text(payload: Payload) -> str | None:
    """Return the text in a memo's value; None for anything else, which says nothing."""
    try:
        value = orjson.loads(payload.data)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, str) and len(value.encode()) <= limits.IDENTIFIER_BYTES_MAX else None
