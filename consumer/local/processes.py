"""Child processes: started on a tether, known by pid and start time, ended by that identity and never by name."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TETHER = Path(__file__).with_name("tether.py")
POLL_SECONDS = 0.02  # short beside a start of half a second, long beside the cost of one look
LOG_LIMIT_BYTES = 10_000_000  # a log longer than this is set aside at the next start


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be confused with a later one of the same number.

    Attributes:
        name: what the process is, for messages.
        pid: its process id, which the system may give away again.
        started: when it started, as an opaque mark; empty when it had ended before it was looked at.
    """

    name: str
    pid: int
    started: str

    @classmethod
    def of(cls, name: str, pid: int) -> Self:
        """Take the identity of a process that runs now."""
        return cls(name, pid, _started(pid))

    def alive(self) -> bool:
        """Say whether this very process still runs; a zombie does not."""
        return bool(self.started) and _started(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this very process, or to nobody."""
        if sys.platform != "linux":
            if self.alive():
                os.kill(self.pid, number)
            return
        with contextlib.suppress(ProcessLookupError):
            # The descriptor pins the process: its number cannot be given away between the look and the signal.
            pinned = os.pidfd_open(self.pid)
            try:
                if self.alive():
                    signal.pidfd_send_signal(pinned, number)
            finally:
                os.close(pinned)

    def wait(self, seconds: float) -> bool:
        """Wait until the process is gone; say whether it is."""
        deadline = time.monotonic() + seconds
        while self.alive() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return not self.alive()


def _started(pid: int) -> str:
    if sys.platform != "linux":
        listed = subprocess.run(  # noqa: S603 - nothing but a number comes from outside
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)],  # noqa: S607 - ps lies where the system puts it
            capture_output=True,
            text=True,
            check=False,
        )
        state, _, started = listed.stdout.strip().partition(" ")
        return "" if state.startswith("Z") else started.strip()
    try:
        # The name stands in brackets and may hold anything, so count from the last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def children(pid: int) -> list[Identity]:
    """List the direct children of a process; empty where the system does not tell."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [Identity.of("child", int(child)) for child in listed]


class Child:
    """One child process in a session of its own, which ends when its supervisor does unless it is released."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        stop_signal: signal.Signals,
        user: str = "-",
        stdin: bytes = b"",
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        self._log_start = _log_start(log)
        watched, self._tether = os.pipe()
        tether = [sys.executable, "-I", "-S", str(TETHER), str(watched), str(int(stop_signal)), user]
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(  # noqa: S603 - the commands are built by this package
                    [*tether, *(str(part) for part in command)],
                    stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(watched,),
                    start_new_session=True,
                )
        except BaseException:
            os.close(self._tether)
            raise
        finally:
            os.close(watched)
        self.identity = Identity.of(name, self._process.pid)
        if stdin:
            _feed(self._process, stdin)

    @property
    def exit_code(self) -> int | None:
        """How the child ended; None while it runs."""
        return self._process.poll()

    def last_lines(self, count: int = 12) -> str:
        """Return the end of what this child wrote."""
        with self._log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - 8192))
            return "\n".join(log.read().decode(errors="replace").rstrip().splitlines()[-count:])

    def end(self, number: signal.Signals, seconds: float) -> None:
        """Send a signal and wait for the end; kill the child when it takes longer than that."""
        if self.exit_code is None:
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Kill the child and wait until its own children are gone too; a child that has ended is just tidied up."""
        if self.exit_code is None:
            offspring = children(self._process.pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it may end just now; macOS refuses zombies
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            for orphan in offspring:  # PostgreSQL refuses to start while an old backend holds its shared memory
                orphan.wait(5)
        self._cut()

    def release(self) -> None:
        """Let the child live on after this process."""
        os.write(self._tether, b"r")
        self._cut()

    def _cut(self) -> None:
        tether, self._tether = self._tether, -1
        if tether >= 0:
            os.close(tether)


def _log_start(log: Path) -> int:
    """Return where the next line will land, having set aside a log that grew too long."""
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return 0
    if size <= LOG_LIMIT_BYTES:
        return size
    log.replace(log.with_suffix(".old.log"))
    return 0


def _feed(process: subprocess.Popen[bytes], stdin: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:  # a child that died says why in its log
        process.stdin.write(stdin)
