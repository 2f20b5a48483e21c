"""The watchdog: a thread that ends the process when its event loop is stuck, so that a supervisor can start it anew."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from consumer.ending import end_process
from consumer.errors import ExitCode

PATIENCE_SECONDS = 45.0  # longer than every bounded wait of the consumer, shorter than an operator's


def _end_process(silent_seconds: float) -> None:
    def say() -> None:
        sys.stderr.write(f"wex: the event loop was stuck for {silent_seconds:.0f} s; ending the process\n")
        sys.stderr.flush()

    end_process(ExitCode.WATCHDOG, say)


class Watchdog:
    """Ends the process unless `beat` is called often enough; a context manager.

    It is a thread and not a task, so that it sees a loop that is blocked.
    """

    def __init__(
        self,
        patience_seconds: float = PATIENCE_SECONDS,
        *,
        clock: Callable[[], float] = time.monotonic,
        give_up: Callable[[float], None] = _end_process,
    ) -> None:
        self._patience = patience_seconds
        self._clock = clock
        self._give_up = give_up
        self._last_beat = clock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def beat(self) -> None:
        """Say that the loop runs."""
        self._last_beat = self._clock()

    def silent_seconds(self) -> float:
        """Return how long the loop has not said so."""
        return self._clock() - self._last_beat

    def __enter__(self) -> Watchdog:
        self.beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._patience / 10):
            silent = self.silent_seconds()
            if silent > self._patience:
                self._give_up(silent)
                return
