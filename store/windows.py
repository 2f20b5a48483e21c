"""Windows of time over the statistics: which spans of five minutes, hours and days make one up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from events.limits import TIME_MAX, TIME_MIN
from store.filters import When, check_time, instant

FINEST = timedelta(minutes=5)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SPANS_MAX = 2_000  # of a series: more than fit on any screen


class Span(NamedTuple):
    """All statistics of one length that begin from `since` on and before `until`; of length 0 there is one."""

    minutes: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time that begins and ends at whole five minutes; None is open.

    Attributes:
        since: the first moment in it.
        until: the first moment behind it.
    """

    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def around(cls, since: When | None, until: When | None, now: datetime, step: timedelta = FINEST) -> Self:
        """Return the smallest window of whole steps that has all of a stretch in it.

        Raises:
            ValueError: a time cannot be used, or nothing lies between the two.
        """
        for name, value in (("since", since), ("until", until)):
            check_time(name, value)
        begin = None if since is None else _down(instant(since, now), step)
        end = None if until is None else _up(instant(until, now), step)
        if begin is not None and end is not None and begin >= end:
            msg = f"nothing lies between since ({begin}) and until ({end})"
            raise ValueError(msg)
        return cls(begin, end)

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """Where it begins and ends; where it is open, those between which all times lie."""
        return self.since or TIME_MIN, self.until or TIME_MAX

    def spans(self, longest: timedelta = DAY) -> list[Span]:
        """Return the fewest spans that make up the window, none longer than asked for."""
        if self.since is None and self.until is None and longest >= DAY:
            return [Span(0, *self.bounds)]
        lengths = [length for length in (DAY, HOUR, FINEST) if length <= longest]
        return list(_spans(*self.bounds, lengths))


def every(text: timedelta) -> timedelta:
    """Return the step of a series.

    Raises:
        ValueError: it is not a multiple of five minutes that divides a day, or not one or more days.
    """
    if text < FINEST or text % FINEST or (DAY % text if text < DAY else text % DAY):
        msg = f"a series steps by 5 minutes, or a multiple of them that divides a day, or by days, not by {text}"
        raise ValueError(msg)
    return text


def longest_within(step: timedelta) -> timedelta:
    """Return the longest length of statistics that a step is made up of."""
    return next(length for length in (DAY, HOUR, FINEST) if not step % length)


def steps(window: Window, step: timedelta) -> list[datetime]:
    """Return where each step of a closed window begins.

    Raises:
        ValueError: there are more than anybody reads.
    """
    begin, end = window.bounds
    count = -(-(end - begin) // step)
    if count > SPANS_MAX:
        msg = f"a series has at most {SPANS_MAX} steps, not {count}; narrow the window or widen the step"
        raise ValueError(msg)
    return [begin + number * step for number in range(count)]


def _spans(since: datetime, until: datetime, lengths: list[timedelta]) -> Iterator[Span]:
    length, *shorter = lengths
    begin, end = _up(since, length), _down(until, length)
    if begin < end:
        yield Span(length // timedelta(minutes=1), begin, end)
    else:
        begin = end = until
    if shorter:
        for part in ((since, begin), (end, until)):
            if part[0] < part[1]:
                yield from _spans(*part, shorter)


def _down(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - TIME_MIN) % step


def _up(moment: datetime, step: timedelta) -> datetime:
    return moment + (TIME_MIN - moment) % step
