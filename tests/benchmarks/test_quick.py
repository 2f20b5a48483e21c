"""Figures of two commits are compared as multiples of a yardstick."""

from __future__ import annotations

from benchmarks.quick import PATHS, Figure, changes, kept, table

BEFORE = {"fold": Figure(10.0, 11.0, 5.0)}


def test_a_slower_machine_is_no_change() -> None:
    """A path that costs twice as much where the yardstick does too costs the same."""
    assert changes(BEFORE, {"fold": Figure(20.0, 22.0, 5.0)}) == {"fold": 0.0}


def test_what_costs_more_beside_the_yardstick_is_a_change() -> None:
    """A path that costs a half more on the same machine is told so, and a new path has nothing to be compared with."""
    after = {"fold": Figure(15.0, 16.0, 7.5), "new": Figure(1.0, 1.0, 1.0)}
    assert changes(BEFORE, after) == {"fold": 50.0}
    assert "+50.0%" in table(after, changes(BEFORE, after))


def test_every_path_has_a_kept_figure() -> None:
    """`make bench-quick COMPARE=1` judges all paths."""
    assert set(kept()) == set(PATHS)
