"""The laws are tried on nasty histories: each kind is recognised, and too poor a sample fails the law."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from events import Event
from events.fold import REGISTERS
from tests.histories_seen import DIGESTED, HISTORIES, KINDS, TRIED, Seen, kinds_of, profile, shortcomings, table
from tests.lives import at, event

ROOT = Path(__file__).parents[2]
END: dict[str, Any] = {"attempt": 1, "completed_at": at(3)}

EXAMPLES: dict[str, list[Event]] = {
    "equal times": [event("started", 1), event("heartbeat", 1)],
    "equal orders": [event("paused", 1, reason="a"), event("started"), event("paused", 1, reason="b")],
    "several attempts": [event("started"), event("started", 1, attempt=2)],
    "conflicting verdicts": [event("started"), event("failed", 1), event("completed", 2, authority="server")],
    "operator corrections": [event("started"), event("failed", 1, authority="operator", **END)],
    "guesses": [event("started"), event("timed_out", 1, authority="inferred", attempt=1)],
    "revisions": [event("started"), event("completed", 1, authority="server", revises=True)],
    "clock skew": [event("started", 2), event("completed", 1)],
    "missing start": [event("scheduled"), event("completed", 1)],
}

POOR_LAW = """
import pytest
from hypothesis import given, settings, strategies as st
from tests.histories_seen import note
from tests.lives import event

@pytest.mark.law
@settings(max_examples=40)
@given(st.integers())
def test_poor(seconds):
    note([[event("started", seconds % 1000)]])

@pytest.mark.law
@given(st.integers())
def test_false(seconds):
    note([[event("started", seconds % 1000)]])
    assert seconds < 10

@settings(max_examples=5)
@given(st.integers())
def test_no_law(seconds):
    note([[event("started")]])
"""


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_recognised(kind: str) -> None:
    """An example of a kind is of that kind, and of no other unless it cannot be helped."""
    also = {"equal orders": ["equal times"]}.get(kind, [])
    assert kinds_of(EXAMPLES[kind]) == [*also, kind]


def test_an_order_ends_with_a_digest_or_contains_its_value() -> None:
    """The registers without a digest are those whose order contains the value, or that have none."""
    others = {register.name for register in REGISTERS} - DIGESTED
    numbers = {"duration", "activities"}
    assert others == numbers | {"started", "cancel_request", "visibility", "highest_claim", "lowest_claim"}


def test_an_orderly_life_is_not_nasty() -> None:
    """A life without any disturbance is of no kind, even if one of its events is told twice."""
    events = [event("scheduled"), event("started", 1), event("heartbeat", 2), event("completed", 3, output=1)]
    assert kinds_of([*events, events[1]]) == []


def seen(tried: int, of_each_kind: int, **others: int) -> Seen:
    """A law's counts."""
    counts = {TRIED: tried, **dict.fromkeys(KINDS, of_each_kind)}
    return Seen(Counter(counts | {name.replace("_", " "): number for name, number in others.items()}))


def test_too_few_histories_fall_short() -> None:
    """A law that tried fewer histories than demanded, or fewer than five percent of a kind, falls short."""
    assert shortcomings(seen(300, 15), 300) == []
    assert shortcomings(seen(299, 15), 300) == ["299 histories tried, 300 demanded"]
    assert shortcomings(seen(300, 15, guesses=14), 300) == ["guesses: 4.7 %, 5.0 % demanded"]
    assert len(shortcomings(Seen(), 300)) == 1 + len(KINDS)


def test_examples_that_were_abandoned_do_not_count() -> None:
    """Only what passed is counted, with the number of histories that each example holds."""
    cases = [
        {"status": "valid", "events": ["histories: 3", "guesses: 2", "something else: 5"]},
        {"status": "valid", "events": ["histories: 1"]},
        {"status": "invalid", "events": ["histories: 1", "guesses: 1"]},
    ]
    counted = Seen()
    counted.add({"generate-phase": {"test-cases": cases}, "reuse-phase": {"test-cases": cases[:1]}, "targets": {}})
    assert counted.counts == {TRIED: 7, "guesses": 4}


def test_the_table_sums_up_all_laws() -> None:
    """The table shows each law's share of every kind, and that of all histories together."""
    *_, one, other, total = table({"one": seen(300, 30), "other": seen(900, 900)})
    assert one.split() == ["300", *["10.0", "%"] * len(KINDS), "one"]
    assert other.split()[:2] == ["900", "100.0"]
    assert total.split() == ["1,200", *["77.5", "%"] * len(KINDS), "all", "laws"]


def test_a_law_with_a_poor_generator_fails(tmp_path: Path) -> None:
    """A law that holds on too poor a sample fails its session and says why; a test that is no law demands nothing."""
    path = tmp_path / "test_poor.py"
    path.write_text(POOR_LAW)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "tests.histories_seen"]
    ended = subprocess.run(
        [*command, "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WEX_LAWS": "ci", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout
    assert "its histories fall short: 40 histories tried, 300 demanded; equal times: 0.0 %" in ended.stdout
    assert "AssertionError" in ended.stdout, "a law that does not hold fails for that"
    assert "2 failed, 1 passed" in ended.stdout


def test_the_profile_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """WEX_LAWS chooses the profile; a name that is none is an error, not a default."""
    monkeypatch.delenv("WEX_LAWS", raising=False)
    assert HISTORIES[profile()] == 300
    monkeypatch.setenv("WEX_LAWS", "deep")
    assert HISTORIES[profile()] == 5_000
    monkeypatch.setenv("WEX_LAWS", "shallow")
    with pytest.raises(AssertionError, match="WEX_LAWS must be one of"):
        profile()
