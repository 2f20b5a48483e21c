"""Python's own search for garbage, made seldom: what events are made of refers to nothing in a circle."""

from __future__ import annotations

import gc

# Objects that are made before Python looks for circles among them: more than two chunks hold, so that a chunk's are
# gone by themselves before anybody looks. With Python's own 700 the search was 8 % of a consumer's time.
MADE_BEFORE_A_LOOK = 200_000


def search_seldom() -> None:
    """Have this process look for garbage seldom."""
    gc.set_threshold(MADE_BEFORE_A_LOOK)
