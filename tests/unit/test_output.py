"""How results look to people and to programs."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumer.commands import output
from events import fold, row
from store.execution import Execution
from tests.lives import at, event

NOW = datetime(2026, 1, 10, tzinfo=UTC)


def execution(**changes: Any) -> Execution:
    """An execution that runs since 2026-01-01T00:00:00Z, with some values changed."""
    running = row(fold([event("started", user_id="ada")]))
    return replace(Execution(**_fields(running), applied_at=at(1)), **changes)


def _fields(shown: object) -> dict[str, Any]:
    return {name: getattr(shown, name) for name in asdict(shown)}  # type: ignore[call-overload] # it is a dataclass


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (0.9, "just now"),
        (-0.9, "just now"),
        (1, "1 second ago"),
        (59.9, "59 seconds ago"),
        (60, "1 minute ago"),
        (3_599, "59 minutes ago"),
        (3_600, "1 hour ago"),
        (86_399, "23 hours ago"),
        (86_400, "1 day ago"),
        (400 * 86_400, "400 days ago"),
        (-1, "in 1 second"),
        (-7_200, "in 2 hours"),
    ],
)
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    """A time is told by its distance from now in the largest unit that fits, before and after."""
    assert output.relative(NOW - timedelta(seconds=seconds), NOW) == words


def test_no_time_is_a_dash() -> None:
    """A time that is not known is a dash; without a clock given, now is now."""
    assert output.relative(None) == "-"
    assert output.relative(datetime.now(UTC)) == "just now"
    assert output.relative(datetime.now(UTC) - timedelta(days=3)) == "3 days ago"


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (None, "-"),
        (0, "0 ms"),
        (840, "840 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (12_345, "12.3 s"),
        (59_949, "59.9 s"),
        (60_000, "1m 00s"),
        (463_000, "7m 43s"),
        (3_599_499, "59m 59s"),
        (3_599_500, "1h 00m"),
        (11_520_000, "3h 12m"),
        (47 * 3_600_000, "47h 00m"),
        (48 * 3_600_000, "2d 0h"),
        (5_000_000_000, "57d 20h"),
    ],
)
def test_durations_are_said_as_people_say_them(milliseconds: float | None, words: str) -> None:
    """A duration is told in two units at most, with a dash where it is not known."""
    assert output.duration(milliseconds) == words


def test_what_runs_is_measured_so_far() -> None:
    """An execution that has not ended shows how long it runs; one whose start nobody reported shows nothing."""
    assert output.elapsed(execution(), at(90)) == "1m 30s so far"
    assert output.elapsed(execution(), at(-5)) == "0 ms so far"
    assert output.elapsed(execution()).endswith("so far")
    assert output.elapsed(execution(duration_ms=840), at(90)) == "840 ms"
    assert output.elapsed(execution(start_reported=False), at(90)) == "-"
    failed = row(fold([event("failed", 3)]))
    assert output.elapsed(Execution(**_fields(failed), applied_at=at(1)), at(90)) == "-"


def test_a_status_has_its_colour_or_none() -> None:
    """Known statuses have one colour everywhere; what has none stays plain."""
    assert output.status_text("failed") == "[red]failed[/red]"
    assert output.status_text("pending") == "pending"


def test_a_table_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Control characters in ids and errors are shown as escapes, markup as text, and of a message the first line."""
    monkeypatch.setenv("COLUMNS", "300")
    nasty = "a\x1b[2J\x07\u202eb[red]c"
    output.print_executions(
        [
            execution(
                workflow_id=nasty, temporal_workflow_id=nasty, created_by=nasty, error_message=f"{nasty}\nsecond"
            ),
            execution(created_by=None, error_message=None),
        ]
    )
    printed = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e"} & set(printed)
    assert printed.count(r"a\x1b[2J\x07\u202eb[red]c") == 4
    assert "second" not in printed
    assert "ERROR" in printed


def test_a_table_without_errors_has_no_column_for_them(capsys: pytest.CaptureFixture[str]) -> None:
    """The column of errors is there only where there is one, and an execution without a start shows its schedule."""
    scheduled = datetime.now(UTC) + timedelta(hours=5, minutes=1)
    output.print_executions([execution(start_reported=False, scheduled_for=scheduled)])
    printed = capsys.readouterr().out
    assert "ERROR" not in printed
    assert "in 5 hours" in printed


def test_a_card_leaves_out_what_is_absent(capsys: pytest.CaptureFixture[str]) -> None:
    """A card shows names and values, JSON indented, times with their distance, markup as text, and nothing for None."""
    shown = [("id", "[bold]x"), ("nothing", None), ("input", {"a": ["é"]}), ("at", datetime(2026, 1, 1, tzinfo=UTC))]
    output.print_card([*shown, ("status", output.status_text("failed"))])
    printed = capsys.readouterr().out
    assert "[bold]x" in printed
    assert "nothing" not in printed
    assert '"é"' in printed
    assert "2026-01-01 00:00:00.000+00:00 (" in printed
    assert "failed" in printed
    assert "[red]" not in printed


def test_json_is_one_object_that_any_parser_reads(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get times in UTC, bytes as base64, names as text, and integers beyond 64 bits as floats."""
    output.print_json(
        {
            "items": output.items([execution(input={"n": 2**70, "m": -(2**63), "k": 2**64 - 1})])["items"],
            1: (b"\x00\xff", None, True),
        }
    )
    printed = json.loads(capsys.readouterr().out)
    assert printed["1"] == ["AP8=", None, True]
    [item] = printed["items"]
    assert item["input"] == {"n": 2.0**70, "m": -(2**63), "k": 2**64 - 1}
    assert item["started_at"] == "2026-01-01T00:00:00Z"
    assert item["status"] == "running"
