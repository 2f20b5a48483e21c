"""The retry policy: how long to wait after failures in a row. It decides only; the waiting is done elsewhere."""

from __future__ import annotations

FIRST_SECONDS = 0.2
LONGEST_SECONDS = 5.0  # a database that is back is noticed within this time


def backoff_seconds(failures: int, jitter: float) -> float:
    """Return the pause after so many failures in a row; jitter in [0, 1) keeps consumers from returning together."""
    ceiling: float = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(failures, 16))
    return ceiling * (0.5 + jitter / 2)
