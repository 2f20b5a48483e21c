"""How the process of a consumer ends from outside: drained within a stated time, or at once when it is asked twice.

Nothing that the table promises rests on this: a process that ends at any instant loses and doubles nothing. It is for
the time that a platform gives, and for the partitions, which go on at once elsewhere if the group is left in order.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from consumer.errors import ExitCode
from consumer.monitoring.log_events import tell

SAY_SECONDS = 1.0  # for the last words: whoever reads standard error may be stuck, or gone
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def end_process(code: int, say: Callable[[], None]) -> None:
    """End this process at once, whatever its threads do, after last words if anybody takes them."""
    saying = threading.Thread(target=say, daemon=True)
    saying.start()
    saying.join(SAY_SECONDS)
    os._exit(code)


@contextmanager
def taking_signals() -> Iterator[None]:
    """Be a process that can be ended, and leaves no zombies; as long as nothing is begun, it ends at once.

    A container's first process has no default actions: what it does not handle is lost, and the orphans of others
    become its children.
    """
    before = {number: signal.signal(number, lambda *_: os._exit(ExitCode.OK)) for number in _taken()}
    if os.getpid() == 1:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel then buries them; a consumer starts no process
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _taken() -> list[signal.Signals]:
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # by `nohup`: the terminal may go, this stays
    return [number for number in SIGNALS if not (ignored and number == signal.SIGHUP)]


class Ending:
    """Asks once, gives what was asked its time, and ends the process when that is over or a second signal comes.

    Args:
        drain_seconds: the time.
        ask: what the first signal calls, in the loop; it can be exchanged.
    """

    def __init__(self, drain_seconds: float, ask: Callable[[], object]) -> None:
        self._drain_seconds = drain_seconds
        self.ask = ask

    def listen(self) -> None:
        """Take signals in the running loop."""
        for number in _taken():
            asyncio.get_running_loop().add_signal_handler(number, self._first)

    def _first(self) -> None:
        for number in _taken():
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, lambda number, _: os._exit(128 + number))
        deadline = threading.Timer(self._drain_seconds, end_process, (ExitCode.OK, self._say))
        deadline.daemon = True  # a thread, so that it also ends a loop that is stuck
        deadline.start()
        tell("stopping", "stopping, within %g s", self._drain_seconds)
        self.ask()

    def _say(self) -> None:
        what = "not drained within %g s; ending all the same, and whoever claims next goes on from the table"
        tell("drain_timed_out", what, self._drain_seconds)
