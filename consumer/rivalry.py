"""Signs of rivalry: one rebalance or one fence says nothing; many say that consumers are in each other's way."""

from __future__ import annotations

from collections import deque


class OftenWatch:
    """Tells when something has happened too often.

    Args:
        times: how often within the time is too often.
        seconds: the time.
    """

    def __init__(self, times: int, seconds: float) -> None:
        self.times = times
        self.seconds = seconds
        self._happened: deque[float] = deque(maxlen=times)

    def happened(self, now: float) -> bool:
        """Note that it happened; return whether that was too often, which is told once and then counted anew.

        Args:
            now: in seconds, of a clock that only goes forward.
        """
        self._happened.append(now)
        often = len(self._happened) == self.times and now - self._happened[0] <= self.seconds
        if often:
            self._happened.clear()
        return often
