"""What happens too often is told, once each time that it has."""

from __future__ import annotations

from consumer.rivalry import OftenWatch


def test_what_happens_often_enough_in_the_time_is_told() -> None:
    """The third time within ten seconds is too often, whatever came before."""
    watch = OftenWatch(3, 10)
    assert [watch.happened(now) for now in (0, 8, 11, 17)] == [False, False, False, True]


def test_after_it_was_told_it_is_counted_anew() -> None:
    """An alarm is not repeated by the next happening, but by as many more."""
    watch = OftenWatch(2, 10)
    assert [watch.happened(now) for now in (0, 1, 2, 3)] == [False, True, False, True]
