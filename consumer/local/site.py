"""Where a stack lives and how it talks: folders, progress lines, the wish to stop, commands that run to their end."""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consumer.errors import ExitCode, WexError
from consumer.local.processes import POLL_SECONDS, Child

# A first start writes about 100 MB (database, jars, Kafka's log); a disk nearer to full than this fails midway.
FREE_BYTES_NEEDED = 250_000_000
COMMAND_SECONDS = 300  # a download over a slow line; everything else takes seconds


@dataclass(frozen=True, slots=True)
class Site:
    """What every server of one stack shares.

    Attributes:
        data_dir: absolute path of the stack's data.
        cache_dir: absolute path of what was downloaded, shared between stacks.
        report: takes one progress line.
        cancelled: set when the start is to be given up.
    """

    data_dir: Path
    cache_dir: Path
    report: Callable[[str], None]
    cancelled: threading.Event = field(default_factory=threading.Event)

    def log(self, name: str) -> Path:
        """Return the path of a process's log."""
        return self.data_dir / "logs" / f"{name}.log"

    def prepare(self) -> None:
        """Create the data folder, and make sure that it can be written and has room."""
        with writing(self.data_dir):
            self.data_dir.mkdir(parents=True, exist_ok=True)
            # The folder holds a password and data, and often lies inside a repository.
            (self.data_dir / ".gitignore").write_text("*\n")
        free = shutil.disk_usage(self.data_dir).free
        if free < FREE_BYTES_NEEDED:
            message = f"the disk of {self.data_dir} is full: {free // 1_000_000} MB are free, a start needs 250 MB"
            raise WexError(message, "Free some space, or name a folder on another disk with --data-dir.")

    def check_cancelled(self) -> None:
        """Give up when the start was cancelled.

        Raises:
            WexError: it was.
        """
        if self.cancelled.is_set():
            message = "the start was cancelled"
            raise WexError(message)

    def run(
        self, name: str, command: Sequence[str | Path], *, user: str = "-", stdin: bytes = b"", hint: str = ""
    ) -> None:
        """Run a command to its end; what it writes goes to the log of that name.

        Args:
            name: what the command does, for messages and the log.
            command: the program, by its path, and its arguments.
            user: "uid:gid" to run as, "-" for the own user.
            stdin: what the command reads.
            hint: what to do when it fails.

        Raises:
            WexError: it failed, took too long, or the start was cancelled; with the last lines of the log.
        """
        child = Child(name, command, log=self.log(name), stop_signal=signal.SIGTERM, user=user, stdin=stdin)
        try:
            deadline = time.monotonic() + COMMAND_SECONDS
            while child.exit_code is None:
                self.check_cancelled()
                if time.monotonic() > deadline:
                    raise failed(f"{name} took longer than {COMMAND_SECONDS} s", child, self.log(name), hint)
                time.sleep(POLL_SECONDS)
        finally:
            child.kill()
        if child.exit_code:
            raise failed(f"{name} failed (exit code {child.exit_code})", child, self.log(name), hint)


def failed(what: str, child: Child, log: Path, hint: str = "") -> WexError:
    """Return the error for a process that ended or hung, with the end of its log."""
    lines = child.last_lines() or "(it wrote nothing)"
    indented = "\n".join(f"  {line}" for line in lines.splitlines())
    return WexError(f"{what}; its last lines:\n{indented}", f"{hint} The whole log: {log}".strip(), ExitCode.ERROR)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into an error that names the folder and the way out."""
    try:
        yield
    except OSError as error:
        message = f"cannot write to {path}: {error.strerror or error}"
        remedy = "Free some space or mend the permissions, or name another folder with --data-dir."
        raise WexError(message, remedy) from error
