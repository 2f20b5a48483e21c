"""The 56 lives of executions as real orchestrators produce them, in every order."""

from __future__ import annotations

import random
from itertools import islice, permutations

import pytest

from events import fold, row
from tests.lives import LIVES, life, shown


@pytest.mark.parametrize("number", range(1, len(LIVES) + 1))
def test_a_life_gives_its_row_in_every_order(number: int) -> None:
    """Each life gives the row its users expect, whatever the order of its events and however often they come."""
    events, expected = life(number)
    for order in islice(permutations(events), 720):
        seen = shown(row(fold([*order, random.Random(number).choice(order)])))
        assert {key: seen[key] for key in expected} == expected
