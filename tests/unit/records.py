"""Records written by hand, with any JSON text in any place of them."""

from __future__ import annotations

import json
from typing import Any

from events import Event, InvalidEvent, decode

ENVELOPE = {
    "specversion": "1.0",
    "id": "e1",
    "source": "/tests",
    "type": "workflow.execution.completed.v1",
    "time": "2026-01-01T00:00:00Z",
}
NAMES = {"workflow_id": "invoice", "temporal_workflow_id": "invoice-42", "temporal_run_id": "run-1"}


def record(data: dict[str, Any] | None = None, *, raw: dict[str, str | bytes] | None = None, **envelope: Any) -> bytes:
    """A record's value: members of `data` and the envelope as Python values, and raw JSON text for members of data.

    A value of `...` leaves a member out.
    """
    members = _members({**NAMES, **(data or {})})
    for name, text in (raw or {}).items():
        members.append(json.dumps(name).encode() + b":" + (text if isinstance(text, bytes) else text.encode()))
    return b"{%s}" % b",".join([*_members({**ENVELOPE, **envelope}), b'"data":{%s}' % b",".join(members)])


def decoded(value: bytes) -> Event:
    """The event in a record that must hold one."""
    found = decode(value)
    assert isinstance(found, Event), found
    return found


def refused(value: bytes) -> tuple[str, str]:
    """Why a record is refused, and the field at fault."""
    try:
        found = decode(value)
    except InvalidEvent as error:
        return error.reason, error.field
    raise AssertionError(found)


def _members(values: dict[str, Any]) -> list[bytes]:
    return [f"{json.dumps(name)}:{json.dumps(value)}".encode() for name, value in values.items() if value is not ...]
