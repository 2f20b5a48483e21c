"""A server of the local stack: what the three have in common."""

from __future__ import annotations

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from consumer.errors import WexError
from consumer.local import ports
from consumer.local.processes import POLL_SECONDS, Child, Identity
from consumer.local.site import Site, failed

START_SECONDS = 60  # the slowest of them takes four on an idle machine
STOP_SECONDS = 20  # Kafka writes its snapshots; after this it is killed, which it survives


class Server(ABC):
    """One server process with its data folder and port.

    A server is *prepared* (its programs found, its data folder made and checked) once, and may then be
    *started*, *stopped* (it is asked to end, and ends cleanly) and *killed* (it ends at once, as in a power
    cut) any number of times, always on the same port and data. All calls block; none of them is safe to make
    from two threads at once for the same server.
    """

    name: ClassVar[str]  # as in `--<name>-port` and in the data folder
    title: ClassVar[str]  # as people write it
    stop_signals: ClassVar[Mapping[str, signal.Signals]] = {"fast": signal.SIGTERM}  # by mode of stopping
    user: str = "-"  # "uid:gid" when the server must not run as the supervisor's user

    def __init__(self, site: Site) -> None:
        self.site = site
        self.port = 0  # chosen by the stack before the first start
        self.folder = site.data_dir / self.name
        self.changed: Callable[[], None] = lambda: None
        self._child: Child | None = None
        self._prepared = False

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"{ports.LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        """The path of the server's log."""
        return self.site.log(self.name)

    @property
    def identity(self) -> Identity | None:
        """The server's process; None while there is none."""
        return self._child.identity if self._child else None

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.exit_code is None

    def prepare(self) -> None:
        """Find the programs, make or check the data folder; done once, the first start does it too."""
        if not self._prepared:
            self._prepare()
            self._prepared = True

    def start(self) -> None:
        """Start the server and return when it serves; a running server is left alone.

        Raises:
            WexError: its port is taken, its data does not fit, or it died; with the remedy.
        """
        if self.running:
            return
        self.prepare()
        if not ports.bindable(self.port):
            raise ports.taken(self.name, self.port)
        began = time.monotonic()
        signal_when_alone = self.stop_signals["fast"]
        self._child = Child(self.name, self._command(), log=self.log, stop_signal=signal_when_alone, user=self.user)
        try:
            self._wait_until_ready(self._child)
        except BaseException:
            self.kill()
            raise
        self.site.report(f"{self.title}: ready on port {self.port} after {time.monotonic() - began:.1f} s")
        self.changed()

    def stop(self, mode: str = "fast") -> None:
        """Ask the server to end and wait until it has; idempotent."""
        child, self._child = self._child, None
        if child:
            child.end(self.stop_signals[mode], STOP_SECONDS)
            self.changed()

    def kill(self) -> None:
        """End the server at once, without letting it tidy up; idempotent."""
        child, self._child = self._child, None
        if child:
            child.kill()
            self.changed()

    def release(self) -> None:
        """Let the server live on after this process."""
        if self._child:
            self._child.release()

    def check(self) -> None:
        """Make sure that a started server still runs.

        Raises:
            WexError: it died; with the end of its log.
        """
        if self._child and self._child.exit_code is not None:
            raise failed(f"{self.title} died (exit code {self._child.exit_code})", self._child, self.log)

    def _wait_until_ready(self, child: Child) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.site.check_cancelled()
            if child.exit_code is not None:
                raise self._died(child)
            if self._ready(child.identity.pid):
                return
            if time.monotonic() > deadline:
                raise failed(f"{self.title} was not ready after {START_SECONDS} s", child, self.log)
            time.sleep(POLL_SECONDS)

    def _died(self, child: Child) -> WexError:
        return failed(f"{self.title} died at start (exit code {child.exit_code})", child, self.log)

    @abstractmethod
    def _prepare(self) -> None:
        """Find the programs; make the data folder, or check the one that is there."""

    @abstractmethod
    def _command(self) -> list[str | Path]:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def _ready(self, pid: int) -> bool:
        """Say whether this process serves clients now; cheap, asked many times."""
