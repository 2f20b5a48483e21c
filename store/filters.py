"""Which executions are meant: a filter as a value, checked when it is made, and the conditions that it stands for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta

import orjson

from events.identity import DEFAULT_NAMESPACE
from events.limits import COUNT_MAX, DURATION_MS_MAX, LABELS_MAX, TEXT_BYTES_MAX, TIME_MAX, TIME_MIN
from events.vocabulary import Status
from store.conditions import Condition

When = datetime | timedelta  # a time, or how long ago

DIGEST_BYTES = 8
AGO_MAX = timedelta(days=36_500)  # all of the calendar of an event
_TEXTS = ("workflow_id", "user_id", "namespace", "temporal_workflow_id", "orchestrator", "error_type", "error_text")
_TIMES = ("started_since", "started_until", "completed_since", "completed_until")
_AGES = ("silent_for", "overdue_for")
_FLAGS = {"open": (True, False, None), "contested": (True, False, None)} | dict.fromkeys(
    ("incomplete", "include_deleted"), (True, False)
)
_NUMBERS = {"attempt": (1, COUNT_MAX), "min_duration_ms": (0, DURATION_MS_MAX), "max_duration_ms": (0, DURATION_MS_MAX)}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which executions are meant: those for which all that is given holds.

    Times are datetimes with an offset, or a timedelta before the moment of the first page; `since` is inclusive,
    `until` is not.

    Attributes:
        status: one status, or several of which any will do.
        open: whether it has not ended.
        labels: each of these labels with this value.
        error_text: occurs in the error's message, whatever the case.
        error_type: the error's type, exactly.
        contested: whether two reports claim different ends.
        incomplete: it ended, and nobody reported its start.
        silent_for: open, and older than this, without any event for as long.
        overdue_for: pending, although it should have started so long ago.

    Raises:
        ValueError: a value is not usable; the message names it.
    """

    namespace: str = DEFAULT_NAMESPACE
    workflow_id: str | None = None
    user_id: str | None = None
    temporal_workflow_id: str | None = None
    orchestrator: str | None = None
    status: Status | str | Collection[Status | str] | None = None
    open: bool | None = None
    attempt: int | None = None
    started_since: When | None = None
    started_until: When | None = None
    completed_since: When | None = None
    completed_until: When | None = None
    min_duration_ms: int | None = None
    max_duration_ms: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    error_type: str | None = None
    error_text: str | None = None
    contested: bool | None = None
    incomplete: bool = False
    silent_for: timedelta | None = None
    overdue_for: timedelta | None = None
    include_deleted: bool = False

    def __post_init__(self) -> None:
        for name in _TEXTS:
            check_text(name, getattr(self, name))
        check_given(namespace=self.namespace)
        for name, allowed in _FLAGS.items():
            _check_flag(name, getattr(self, name), allowed)
        for name in (*_TIMES, *_AGES):
            check_time(name, getattr(self, name), ages_only=name in _AGES)
        for name, (least, most) in _NUMBERS.items():
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), least, most)
        _check_labels(self.labels)
        object.__setattr__(self, "status", _statuses(self.status))

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses of which any will do, in the order of the alphabet; none if all will."""
        assert self.status is None or isinstance(self.status, tuple)
        return self.status or ()

    def digest(self, *more: str) -> bytes:
        """Return what tells this filter, and more that belongs to a question, from any other."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        told = orjson.dumps([values, more], default=_told, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)
        return hashlib.sha256(told).digest()[:DIGEST_BYTES]

    def conditions(self, now: datetime) -> list[Condition]:
        """Return the conditions that the filter stands for at a moment."""
        return [Condition("namespace", (self.namespace,)), *self._about_status(), *self._about_values(now)]

    def _about_status(self) -> Iterator[Condition]:
        if not self.include_deleted:
            yield Condition("shown")
        if len(self.statuses) == 1:
            yield Condition("status", self.statuses)
        elif self.statuses:
            yield Condition("statuses", (list(self.statuses),))
        # The same once more in the words of the partial indexes: the planner does not know what a status implies.
        ended = [Status(status).terminal for status in self.statuses]
        if self.open is True or self.silent_for or self.overdue_for or (ended and not any(ended)):
            yield Condition("open")
        if self.open is False or self.incomplete or (ended and all(ended)):
            yield Condition("ended")
        if self.contested is not None:
            yield Condition("contested" if self.contested else "uncontested")
        if self.incomplete:
            yield Condition("start_missing")
        if self.error_type is not None or self.error_text is not None:
            yield Condition("with_error")

    def _about_values(self, now: datetime) -> Iterator[Condition]:
        for name in ("workflow_id", "user_id", "temporal_workflow_id", "orchestrator", *_NUMBERS):
            if (value := getattr(self, name)) is not None:
                yield Condition(name, (value,))
        for name in _TIMES:
            if (value := getattr(self, name)) is not None:
                yield Condition(name, (instant(value, now),))
        if self.labels:
            yield Condition("labels", (orjson.dumps(dict(self.labels)).decode(),))
        for name in ("error_type", "error_text"):
            if (value := getattr(self, name)) is not None:
                yield Condition(name, (value,))
        if self.silent_for is not None:
            yield Condition("silent_since", (instant(self.silent_for, now),))
        if self.overdue_for is not None:
            yield Condition("due_before", (instant(self.overdue_for, now),))


def ago(text: str) -> timedelta:
    """Return how long ago a text like `2d`, `90m` or `1h30m` means.

    Raises:
        ValueError: it is not of that form.
    """
    parts = re.findall(r"([0-9]{1,6})([smhdw])", text)  # no more digits than a timedelta can hold
    if not parts or "".join(number + unit for number, unit in parts) != text:
        msg = f"{text!r} is no duration like 90m, 2d or 1h30m"
        raise ValueError(msg)
    try:
        return timedelta(**_summed(parts))
    except OverflowError:
        msg = f"{text!r} is longer than any time"
        raise ValueError(msg) from None


def check_text(name: str, value: object) -> None:
    """Refuse a text that PostgreSQL cannot take, or that no column can hold.

    Raises:
        ValueError: naming it.
    """
    if value is None:
        return
    if not isinstance(value, str):
        msg = f"{name} must be text, not {value!r}"
        raise ValueError(msg)
    if "\x00" in value:
        msg = f"{name} must not contain NUL"
        raise ValueError(msg)
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        msg = f"{name} must not contain half of a surrogate pair"
        raise ValueError(msg) from None
    if size > TEXT_BYTES_MAX:
        msg = f"{name} must not be longer than {TEXT_BYTES_MAX} bytes"
        raise ValueError(msg)


def check_given(**values: object) -> None:
    """Refuse what is left out and must not be: in SQL it would mean all, or none.

    Raises:
        ValueError: naming it.
    """
    for name, value in values.items():
        if value is None:
            msg = f"{name} must be given"
            raise ValueError(msg)


def check_number(name: str, value: object, least: int, most: int) -> None:
    """Refuse what is not a whole number within bounds.

    Raises:
        ValueError: naming it.
    """
    if type(value) is not int or not least <= value <= most:
        msg = f"{name} must be a whole number from {least} to {most}, not {value!r}"
        raise ValueError(msg)


def check_seconds(name: str, value: object) -> None:
    """Refuse what is no time to wait.

    Raises:
        ValueError: naming it.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:  # NaN would wait for ever
        msg = f"{name} must be a number of seconds, 0 or more, not {value!r}"
        raise ValueError(msg)


def _check_flag(name: str, value: object, allowed: tuple[bool | None, ...]) -> None:
    if not any(value is each for each in allowed):
        msg = f"{name} must be {' or '.join(map(str, allowed))}, not {value!r}"
        raise ValueError(msg)


def check_time(name: str, value: object, *, ages_only: bool = False) -> None:
    """Refuse what is neither a time that an event can have nor how long ago.

    Raises:
        ValueError: naming it.
    """
    if value is None:
        return
    if isinstance(value, timedelta):
        if timedelta(0) <= value <= AGO_MAX:
            return
    elif isinstance(value, datetime) and not ages_only and value.tzinfo is not None and TIME_MIN <= value <= TIME_MAX:
        return
    wanted = "a timedelta" if ages_only else "a datetime with an offset from 2000 to 2100, or a timedelta"
    msg = f"{name} must be {wanted}, not below 0 and at most a century, not {value!r}"
    raise ValueError(msg)


def _check_labels(labels: object) -> None:
    if not isinstance(labels, Mapping) or len(labels) > LABELS_MAX:
        msg = f"labels must be a mapping of at most {LABELS_MAX} names to values"
        raise ValueError(msg)
    for name, value in labels.items():
        check_text("the name of a label", name)
        check_text("the value of a label", value)
        if name is None or value is None:
            msg = "a label has a name and a value"
            raise ValueError(msg)


def _statuses(status: object) -> tuple[str, ...] | None:
    if status is None:
        return None
    if not isinstance(status, Collection):
        msg = f"status must be text, or several of them, not {status!r}"
        raise ValueError(msg)
    asked = [status] if isinstance(status, str) else list(status)
    known = [str(each) for each in Status]
    for each in asked:
        if each not in known:
            msg = f"unknown status {each!r}; one of {', '.join(Status)}"
            raise ValueError(msg)
    if not asked:
        msg = f"name a status, or leave status out; one of {', '.join(Status)}"
        raise ValueError(msg)
    return tuple(sorted({str(each) for each in asked}))


def _summed(parts: list[tuple[str, str]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for number, unit in parts:
        sums[_UNITS[unit]] = sums.get(_UNITS[unit], 0) + int(number)
    return sums


def instant(value: When, now: datetime) -> datetime:
    """Return the time that is meant at a moment."""
    return max(TIME_MIN, now - value) if isinstance(value, timedelta) else value


def _told(value: object) -> object:
    if isinstance(value, timedelta):
        return {"ago": value / timedelta(microseconds=1)}
    assert isinstance(value, Mapping)
    return dict(value)
