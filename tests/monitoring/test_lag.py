"""Lag in seconds is an upper bound of the truth, and close to it."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from consumer.monitoring.lag import MARKS_MAX, Marks
from consumer.monitoring.metrics import PartitionView

WRITTEN = st.lists(st.integers(0, 20), min_size=1, max_size=60)  # seconds between records


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=40), st.lists(st.integers(0, 40))
)
def test_the_best_mark_counts(made: list[tuple[int, int]], asked: list[int]) -> None:
    """Of all marks at or before an offset the latest time is the answer, in whatever order they were made."""
    marks = Marks()
    for offset, time in made:
        marks.add(offset, time)
    for offset in sorted(asked):  # a position goes forward
        best = max((time for place, time in made if place <= offset), default=None)
        assert marks.written_after(offset) == best


@given(gaps=WRITTEN, chance=st.randoms(use_true_random=False))
def test_a_mark_never_claims_more_than_is_true(gaps: list[int], chance: random.Random) -> None:
    """Whatever was fetched and seen of a log, the record at an offset was written at the known time or later."""
    written = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    marks = Marks()
    position = 0
    for _ in range(40):
        now = chance.randint(0, written[-1] + 10)
        end = sum(time <= now for time in written)
        match chance.choice("erp"):
            case "e":
                marks.add(end, now)
            case "r" if end > position:
                record = chance.randrange(position, end)
                marks.add(record, written[record])
            case _:
                position = chance.randint(position, end) if end >= position else position
        known = marks.written_after(position)
        if known is not None and position < len(written):
            assert known <= written[position]


def test_a_fetched_record_is_known_exactly() -> None:
    """The mark of the very record at the position is its own timestamp, whatever ends were seen before and after."""
    marks = Marks()
    marks.add(10, 100.0)
    marks.add(30, 105.0)
    marks.add(12, 101.5)
    marks.add(11, 101.0)
    assert [marks.written_after(offset) for offset in (9, 10, 11, 12, 29, 30)] == [
        None,
        100.0,
        101.0,
        101.5,
        101.5,
        105.0,
    ]


def test_an_idle_log_keeps_one_mark() -> None:
    """The same end seen again moves the time on, so that a record that comes at last is not called old."""
    marks = Marks()
    for second in range(1000):
        marks.add(7, float(second))
    assert marks.written_after(7) == 999.0
    assert len(marks._marks) == 1


def test_marks_are_bounded() -> None:
    """A partition that stands still for days keeps a bounded number of marks, its oldest among them."""
    marks = Marks()
    for second in range(20 * MARKS_MAX):
        marks.add(second, float(second))
        assert len(marks._marks) <= MARKS_MAX
    assert marks.first == 0.0
    assert marks.written_after(0) == 0.0


def test_lag_needs_an_end_and_no_lag_is_no_seconds() -> None:
    """Without an end nothing is claimed; at the end lag is 0 in both units, whatever the clocks say."""
    assert (PartitionView(5, halted=False).lag, PartitionView(5, halted=False).lag_seconds(9.0)) == (None, None)
    caught_up = PartitionView(5, halted=False, end=5, written_after=1.0)
    assert (caught_up.lag, caught_up.lag_seconds(9.0)) == (0, 0.0)
    behind = PartitionView(5, halted=False, end=8, written_after=1.0)
    assert (behind.lag, behind.lag_seconds(9.0), behind.lag_seconds(0.5)) == (3, 8.0, 0.0)
    ahead = PartitionView(9, halted=False, end=8)
    assert (ahead.lag, ahead.lag_seconds(9.0)) == (0, 0.0)
