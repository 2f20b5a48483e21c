"""Lifecycle events of workflow executions: the contract and the fold, free of clock and I/O."""

from __future__ import annotations

from .codec import Skipped, decode, encode
from .errors import EventError, InvalidEvent
from .fold import State, fold, merge
from .identity import RunKey, RunRef, execution_id
from .models import Event, ExecutionData
from .row import ExecutionRow, row
from .vocabulary import Authority, Status, Verb

__all__ = [
    "Authority",
    "Event",
    "EventError",
    "ExecutionData",
    "ExecutionRow",
    "InvalidEvent",
    "RunKey",
    "RunRef",
    "Skipped",
    "State",
    "Status",
    "Verb",
    "decode",
    "encode",
    "execution_id",
    "fold",
    "merge",
    "row",
]
