"""Lag in seconds: how long the oldest record that is not applied has been in the log. Pure; times are passed in.

The theory
----------
Nobody tells when the record at an offset was written, unless it was fetched. But two things are known all the time:
a fetched record's own timestamp, and that a log ended at some offset when its end was read: whatever stands there or
beyond was written later. Both are *marks*: "what stands at this offset or beyond was written at this time or later".
The latest mark at or before the position bounds the age of what is not applied from above.
"""

from __future__ import annotations

from bisect import bisect_right
from math import inf

MARKS_MAX = 512  # of a partition: more than an hour of ends, before every second one is forgotten


class Marks:
    """The marks of one partition that say something: each has a greater offset and time than the one before."""

    def __init__(self) -> None:
        self._marks: list[tuple[int, float]] = []

    def add(self, offset: int, time: float) -> None:
        """Note that what stands at an offset or beyond was written at a time or later."""
        marks = self._marks
        start = stop = bisect_right(marks, (offset, inf))
        if start and marks[start - 1][1] >= time:
            return  # an earlier mark says more
        if start and marks[start - 1][0] == offset:
            start -= 1
        while stop < len(marks) and marks[stop][1] <= time:
            stop += 1
        marks[start:stop] = [(offset, time)]
        if len(marks) > MARKS_MAX:
            del marks[1::2]

    def written_after(self, offset: int) -> float | None:
        """Return the latest time after which what stands at an offset was written; None where nothing is known."""
        count = bisect_right(self._marks, (offset, inf))
        if count == 0:
            return None
        del self._marks[: count - 1]  # a position does not go back; if it does after all, the age is counted from here
        return self._marks[0][1]

    @property
    def first(self) -> float | None:
        """The time of the first mark."""
        return self._marks[0][1] if self._marks else None
