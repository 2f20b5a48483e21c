"""The retry policy: pauses that grow, never too long, never all at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.retry import FIRST_SECONDS, LONGEST_SECONDS, backoff_seconds

failures = st.integers(0, 10**9)
jitters = st.floats(0, 1, exclude_max=True)


@given(failures, jitters)
def test_a_pause_lies_between_half_its_ceiling_and_its_ceiling(count: int, jitter: float) -> None:
    """No pause is longer than the longest or shorter than half of the first, whatever the jitter."""
    assert FIRST_SECONDS / 2 <= backoff_seconds(count, jitter) <= LONGEST_SECONDS


@given(failures, failures, jitters)
def test_more_failures_never_shorten_the_pause(one: int, other: int, jitter: float) -> None:
    """At equal jitter the pause after more failures is at least as long."""
    fewer, more = sorted((one, other))
    assert backoff_seconds(fewer, jitter) <= backoff_seconds(more, jitter)


@given(failures, jitters, jitters)
def test_more_jitter_never_shortens_the_pause(count: int, one: float, other: float) -> None:
    """After equal failures the pause grows with the jitter, and starts at half the ceiling."""
    less, more = sorted((one, other))
    assert backoff_seconds(count, 0) <= backoff_seconds(count, less) <= backoff_seconds(count, more)


@pytest.mark.parametrize(
    ("count", "seconds"), [(0, 0.1), (1, 0.2), (2, 0.4), (3, 0.8), (4, 1.6), (5, 2.5), (16, 2.5), (17, 2.5)]
)
def test_pauses_double_until_the_ceiling(count: int, seconds: float) -> None:
    """Each failure in a row doubles the pause until the longest is reached."""
    assert backoff_seconds(count, 0) == pytest.approx(seconds)
