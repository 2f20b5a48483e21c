"""Temporal, in two halves: what a worker can see while it runs, and what the server decided.

The worker's half (`WorkflowExecutionsPlugin`) is quick and partial: it never sees a run that was terminated, that timed
out or that nobody picked up. The server's half (`TemporalSync`) is complete, and late by its interval. Both speak of
the same executions, so either may come first, and the server's word wins where they differ.
"""

from __future__ import annotations

try:
    import temporalio
except ImportError as error:
    msg = "the Temporal adapter needs the package temporalio: pip install 'workflow-executions[temporal]'"
    raise ImportError(msg) from error

from .history import history_events
from .plugin import WorkflowExecutionsPlugin
from .sync import SyncReport, TemporalSync

__all__ = ["SyncReport", "TemporalSync", "WorkflowExecutionsPlugin", "history_events"]

del temporalio
