"""What a command costs: its seconds, its processors' seconds, its memory, and what PostgreSQL spends meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

LOOK_SECONDS = 0.2
MIB = 1_048_576


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took.

    Attributes:
        seconds: from its start to its end.
        cpu_seconds: of it and of the processes that it started.
        server_cpu_seconds: of PostgreSQL with all its processes.
        peak_mib: the most resident memory of it and its processes together, as seen every fifth of a second.
    """

    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    peak_mib: float

    def per_event(self, events: int) -> dict[str, float]:
        """Return what is printed."""
        return {
            "events_per_second": round(events / self.seconds),
            "cpu_us_per_event": round(self.cpu_seconds / events * 1e6, 1),
            "postgres_cpu_us_per_event": round(self.server_cpu_seconds / events * 1e6, 1),
            "peak_mib": round(self.peak_mib),
        }


def run_wex(
    arguments: Sequence[str], settings: Mapping[str, str], postgres_pid: int, codes: Sequence[int] = (0,)
) -> Cost:
    """Run a command of `wex` to its end.

    Raises:
        RuntimeError: it ended with another code; what it wrote is in the message.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEX_")}
    began, served = time.perf_counter(), _processor_seconds(postgres_pid)
    with subprocess.Popen(  # noqa: S603 - this interpreter, with our own arguments
        [sys.executable, "-m", "consumer", *arguments],
        env=environment | dict(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        memory = _Memory(process.pid)
        written, _ = process.communicate()
        peak = memory.stop()
    if process.returncode not in codes:
        msg = f"wex {' '.join(arguments)} ended with {process.returncode}: {written[-2000:]}"
        raise RuntimeError(msg)
    seconds = time.perf_counter() - began
    return Cost(seconds, memory.cpu_seconds, _processor_seconds(postgres_pid) - served, peak)


class Window:
    """What a process that runs, its descendants and PostgreSQL take, from the making of this on."""

    def __init__(self, pid: int, postgres_pid: int) -> None:
        self._family, self._server = _Memory(pid), postgres_pid
        self._spent, self._served = family_seconds(pid), _processor_seconds(postgres_pid)
        self._pid, self._began = pid, time.perf_counter()

    def close(self) -> Cost:
        """Return it."""
        seconds = time.perf_counter() - self._began
        spent = family_seconds(self._pid) - self._spent
        return Cost(seconds, spent, _processor_seconds(self._server) - self._served, self._family.stop())


class _Memory(threading.Thread):
    """Looks at a process and its descendants until it is stopped, or they are gone."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.cpu_seconds = 0.0
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            try:
                family = _family(self._process)
                self.peak = max(self.peak, sum(each.memory_info().rss for each in family))
                self.cpu_seconds = max(self.cpu_seconds, sum(map(_spent, family)))
            except psutil.Error:
                continue

    def stop(self) -> float:
        self._done.set()
        self.join()
        return self.peak / MIB


def family_seconds(pid: int) -> float:
    """Return what a process and its living descendants have spent."""
    return sum(map(_spent, _family(psutil.Process(pid))))


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _processor_seconds(pid: int) -> float:
    """Return what a server has spent, with its processes that live and those that have ended."""
    parent = psutil.Process(pid)
    return sum(map(_spent, [parent, *parent.children()])) + _spent_by_ended(parent)


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _spent_by_ended(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0))
