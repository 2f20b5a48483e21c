"""The watchdog: it bites a loop that is silent for too long, once, and no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from consumer.errors import ExitCode
from consumer.watchdog import Watchdog

PATIENCE = 2**-7  # a sum of such numbers is exact
BOUND_SECONDS = 30.0


class Clock:
    """A clock that a test sets, and that says when the watchdog has looked at it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._looks = threading.Semaphore(0)

    def __call__(self) -> float:
        """The time; a look of the watchdog's own thread is counted."""
        now = self.now
        if threading.current_thread().name == "watchdog":
            self._looks.release()
        return now

    def wait_for_looks(self, looks: int) -> None:
        """Return once the watchdog has looked so many times more."""
        for _ in range(looks):
            assert self._looks.acquire(timeout=BOUND_SECONDS)


class Bites:
    """What the watchdog said when it gave up."""

    def __init__(self) -> None:
        self.silences: list[float] = []
        self._bitten = threading.Event()

    def __call__(self, silent_seconds: float) -> None:
        """Take the silence instead of ending the process."""
        self.silences.append(silent_seconds)
        self._bitten.set()

    def wait(self) -> None:
        """Return once it has bitten."""
        assert self._bitten.wait(BOUND_SECONDS)


@pytest.fixture
def clock() -> Clock:
    """A clock at zero."""
    return Clock()


@pytest.fixture
def bites() -> Iterator[Bites]:
    """Where bites go; afterwards no watchdog is left."""
    yield Bites()
    assert "watchdog" not in {thread.name for thread in threading.enumerate()}


def test_a_silent_loop_is_ended_once(clock: Clock, bites: Bites) -> None:
    """A loop that is silent longer than the patience is given up once, with the length of its silence."""
    with Watchdog(PATIENCE, clock=clock, give_up=bites) as dog:
        clock.now = 3 * PATIENCE
        bites.wait()
        dog._thread.join(BOUND_SECONDS)
        assert not dog._thread.is_alive()
    assert bites.silences == [3 * PATIENCE]


def test_a_loop_that_beats_is_left_alone(clock: Clock, bites: Bites) -> None:
    """A loop that beats within the patience lives for many times the patience."""
    with Watchdog(PATIENCE, clock=clock, give_up=bites) as dog:
        for _ in range(10):
            clock.now += PATIENCE
            dog.beat()
            clock.wait_for_looks(1)
    assert clock.now == 10 * PATIENCE
    assert bites.silences == []


def test_a_silence_of_exactly_the_patience_is_allowed(clock: Clock, bites: Bites) -> None:
    """The watchdog gives up after more than its patience and not at it."""
    with Watchdog(PATIENCE, clock=clock, give_up=bites):
        clock.now = PATIENCE
        clock.wait_for_looks(3)
        assert bites.silences == []
        clock.now = PATIENCE * 1.5
        bites.wait()
    assert bites.silences == [PATIENCE * 1.5]


def test_the_time_before_it_watches_does_not_count(clock: Clock, bites: Bites) -> None:
    """Silence counts from the moment the watchdog starts to watch, not from when it was made."""
    dog = Watchdog(PATIENCE, clock=clock, give_up=bites)
    clock.now = 100 * PATIENCE
    with dog:
        clock.wait_for_looks(3)
    assert bites.silences == []


def test_the_process_ends_with_a_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    """Unless told otherwise the watchdog says on standard error how long the loop was stuck, and ends the process."""
    ended = threading.Event()
    codes: list[int] = []

    def take(code: int) -> None:
        codes.append(code)
        ended.set()

    monkeypatch.setattr("consumer.ending.os._exit", take)
    with Watchdog(PATIENCE, clock=clock):
        clock.now = 60.0
        assert ended.wait(BOUND_SECONDS)
    assert codes == [ExitCode.WATCHDOG]
    assert capsys.readouterr().err == "wex: the event loop was stuck for 60 s; ending the process\n"


def test_an_error_inside_is_passed_on(clock: Clock, bites: Bites) -> None:
    """Leaving by an exception stops the watchdog and lets the exception through."""
    with pytest.raises(LookupError, match="inside"), Watchdog(PATIENCE, clock=clock, give_up=bites):
        raise LookupError("inside")
    assert bites.silences == []
