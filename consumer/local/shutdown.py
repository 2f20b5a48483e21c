"""Ends a stack from outside: first the supervisor, which ends its servers, then whatever of them still runs."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from consumer.errors import WexError
from consumer.local import stack_file
from consumer.local.server import STOP_SECONDS
from consumer.local.stack_file import RunningServer, StackFile

SUPERVISOR_SECONDS = STOP_SECONDS + 10  # it waits for its servers, and tidies up
KILL_SECONDS = 5


def end_stack(data_dir: Path, report: Callable[[str], None]) -> bool:
    """End the stack of a data folder; idempotent.

    Returns:
        Whether anything ran.

    Raises:
        WexError: a process could not be ended.
    """
    stack = StackFile.read(data_dir)
    supervisor = stack.supervisor if stack.supervisor and stack.supervisor.alive() else None
    ran = bool(supervisor or stack.alive())
    if supervisor:
        report(f"stopping the supervisor (pid {supervisor.pid})")
        supervisor.send(signal.SIGTERM)
        supervisor.wait(SUPERVISOR_SECONDS)
    _end_servers(stack.alive(), report)
    stack_file.remove(data_dir)
    return ran


def _end_servers(servers: tuple[RunningServer, ...], report: Callable[[str], None]) -> None:
    """Ask all of them first and wait then, so that they end side by side."""
    for server in servers:
        report(f"stopping {server.identity.name} (pid {server.identity.pid})")
        server.identity.send(server.stop_signal)
    for server in servers:
        if not server.identity.wait(STOP_SECONDS):
            server.identity.send(signal.SIGKILL)
        if not server.identity.wait(KILL_SECONDS):
            message = f"{server.identity.name} (pid {server.identity.pid}) does not end"
            raise WexError(message, "It may belong to another user: run `wex down` as that user.")
