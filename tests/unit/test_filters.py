"""Filters: what they refuse, what they stand for, and what tells them apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events import Status
from store.conditions import Condition, allowed, narrowed
from store.filters import Filter, ago

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)

# Every field of a filter with a value, and the conditions that it adds.
STANDS_FOR: dict[str, tuple[Any, list[str]]] = {
    "namespace": ("other", []),
    "workflow_id": ("w", ["workflow_id"]),
    "user_id": ("u", ["user_id"]),
    "temporal_workflow_id": ("t", ["temporal_workflow_id"]),
    "orchestrator": ("airflow", ["orchestrator"]),
    "status": (Status.FAILED, ["status", "ended"]),
    "open": (True, ["open"]),
    "attempt": (2, ["attempt"]),
    "started_since": (HOUR, ["started_since"]),
    "started_until": (NOW, ["started_until"]),
    "completed_since": (HOUR, ["completed_since"]),
    "completed_until": (HOUR, ["completed_until"]),
    "min_duration_ms": (0, ["min_duration_ms"]),
    "max_duration_ms": (5, ["max_duration_ms"]),
    "labels": ({"k": "v"}, ["labels"]),
    "error_type": ("E", ["with_error", "error_type"]),
    "error_text": ("e", ["with_error", "error_text"]),
    "contested": (False, ["uncontested"]),
    "incomplete": (True, ["ended", "start_missing"]),
    "silent_for": (HOUR, ["open", "silent_since"]),
    "overdue_for": (HOUR, ["open", "due_before"]),
    "include_deleted": (True, []),
}


@pytest.mark.parametrize("name", Filter.__dataclass_fields__)
def test_each_field_adds_its_own_conditions(name: str) -> None:
    """Each field of a filter adds conditions of the allow-list, and a cursor of the filter without it does not fit."""
    value, expected = STANDS_FOR[name]
    wanted = Filter(**{name: value})
    names = [condition.name for condition in wanted.conditions(NOW)]
    assert names == ["namespace", *([] if name == "include_deleted" else ["shown"]), *expected]
    assert set(names) <= set(allowed())
    assert wanted.digest() != Filter().digest()


def test_statuses_are_told_in_the_words_of_the_indexes() -> None:
    """Several statuses are one condition, and say whether the execution has ended where all of them do."""

    def names(*statuses: str) -> list[str]:
        return [condition.name for condition in Filter(status=statuses).conditions(NOW)][2:]

    assert names("running", "pending") == ["statuses", "open"]
    assert names("failed", "timed_out") == ["statuses", "ended"]
    assert names("failed", "running") == ["statuses"]
    assert names("failed", "failed") == ["status", "ended"]
    assert [c.name for c in Filter(open=False, contested=True).conditions(NOW)][2:] == ["ended", "contested"]


def test_equal_filters_have_equal_digests() -> None:
    """The order of statuses and labels does not matter, and what is relative stays relative."""
    one = Filter(status=["failed", "running"], labels={"a": "1", "b": "2"}, started_since=HOUR)
    same = Filter(
        status=("running", Status.FAILED), labels={"b": "2", "a": "1"}, started_since=60 * timedelta(minutes=1)
    )
    assert one.digest("started_at") == same.digest("started_at")
    assert one.digest("started_at") != one.digest("completed_at")
    assert Filter(started_since=HOUR).digest() != Filter(started_until=HOUR).digest()


def test_relative_times_go_by_the_moment_of_the_question() -> None:
    """A timedelta means so long before the moment, and never before the calendar of events begins."""
    assert Condition("started_since", (NOW - HOUR,)) in Filter(started_since=HOUR).conditions(NOW)
    far = Filter(started_since=timedelta(days=36_500)).conditions(NOW)
    assert Condition("started_since", (datetime(2000, 1, 1, tzinfo=UTC),)) in far


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"workflow_id": "\x00"}, "workflow_id must not contain NUL"),
    ({"user_id": "\ud800"}, "user_id must not contain half of a surrogate pair"),
    ({"error_text": "x" * 8_193}, "error_text must not be longer than 8192 bytes"),
    ({"orchestrator": 5}, "orchestrator must be text, not 5"),
    ({"status": "dead"}, "unknown status 'dead'; one of pending, "),
    ({"status": ["failed", None]}, "unknown status None"),
    ({"status": []}, "name a status, or leave status out"),
    ({"status": 5}, "status must be text, or several of them, not 5"),
    ({"namespace": None}, "namespace must be given"),
    ({"open": "no"}, "open must be True or False or None, not 'no'"),
    ({"incomplete": None}, "incomplete must be True or False, not None"),
    ({"attempt": 0}, "attempt must be a whole number from 1 to 2147483647, not 0"),
    ({"attempt": True}, "attempt must be a whole number"),
    ({"min_duration_ms": -1}, "min_duration_ms must be a whole number from 0 to "),
    ({"max_duration_ms": 2**53}, "max_duration_ms must be a whole number"),
    ({"started_since": datetime(2026, 1, 1)}, "started_since must be a datetime with an offset"),  # noqa: DTZ001 - that is what is refused
    ({"completed_until": datetime(1999, 1, 1, tzinfo=UTC)}, "completed_until must be a datetime with an offset"),
    ({"started_until": "2d"}, "started_until must be a datetime with an offset from 2000 to 2100, or a timedelta"),
    ({"started_since": -HOUR}, "started_since must be a datetime .* not below 0"),
    ({"silent_for": NOW}, "silent_for must be a timedelta"),
    ({"overdue_for": timedelta(days=36_501)}, "overdue_for must be a timedelta"),
    ({"labels": ["a"]}, "labels must be a mapping of at most 64 names to values"),
    ({"labels": {str(n): "" for n in range(65)}}, "labels must be a mapping of at most 64 names to values"),
    ({"labels": {"a": None}}, "a label has a name and a value"),
    ({"labels": {"a": "\x00"}}, "the value of a label must not contain NUL"),
    ({"labels": {1: "b"}}, "the name of a label must be text, not 1"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED)
def test_what_no_row_can_have_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    """A value that is not usable is refused when the filter is made, naming it."""
    with pytest.raises(ValueError, match=message):
        Filter(**values)


def test_durations_are_read_as_people_write_them() -> None:
    """`2d`, `90m` and `1h30m` are durations, and nothing else is."""
    assert ago("2d") == timedelta(days=2)
    assert ago("90m") == ago("1h30m") == timedelta(minutes=90)
    assert ago("1w1s") == timedelta(weeks=1, seconds=1)
    for wrong in ("", "2", "d", "-2d", "2 d", "2D", "2y", "1.5h", "2d;", "٣d", "9" * 7 + "s"):
        with pytest.raises(ValueError, match="is no duration like 90m, 2d or 1h30m"):
            ago(wrong)


def test_conditions_become_places_and_never_text() -> None:
    """Values go behind the arguments that a statement has already, and one value can stand in two places."""
    sql = "SELECT $1 WHERE /* filter */ true /* end of filter */ LIMIT $2"
    asked = [Condition("namespace", ("'; --",)), Condition("silent_since", (NOW,)), Condition("attempt", (3,))]
    made, arguments = narrowed(sql, asked, ["a", 5])
    assert made == (
        "SELECT $1 WHERE e.namespace = $3 AND e.started_at < $4 AND e.updated_at < $4 AND e.attempt = $5 LIMIT $2"
    )
    assert arguments == ["a", 5, "'; --", NOW, 3]
    with pytest.raises(KeyError):
        narrowed(sql, [Condition("1 = 1")], [])
