"""Weakened consumers, each caught by an invariant of the simulation."""

from __future__ import annotations

import pytest

from tests.simulation.invariants import INVARIANTS
from tests.simulation.kill_matrix import MATRIX, Weakened, caught
from tests.simulation.search import run

SEEDS = 2_000  # several times what the most hidden one needs
SEEDS_COVERED = 150  # enough for what is covered, were it not


@pytest.mark.parametrize("weakened", MATRIX, ids=[weakened.meaning for weakened in MATRIX])
def test_a_weakened_consumer_is_caught_by_an_invariant(weakened: Weakened) -> None:
    """Whatever is taken from the consumer, an invariant with a name catches it, and the consumer as it ships passes."""
    failure = caught(weakened, SEEDS)
    assert failure is not None
    assert failure.name in weakened.caught_by, failure.story
    assert run(failure.seed) is None


def test_every_invariant_catches_something() -> None:
    """No invariant is only words: each is what catches some weakened consumer."""
    catching = {name for weakened in MATRIX for name in weakened.caught_by}
    assert catching == set(INVARIANTS)


@pytest.mark.parametrize("weakened", [each for each in MATRIX if each.covered_by], ids=lambda each: each.meaning)
def test_what_is_said_to_be_covered_is(weakened: Weakened) -> None:
    """A weakness that is called covered shows nowhere while the defence that covers it stands."""
    alone = Weakened(weakened.meaning, (), weakened.changes)
    assert caught(alone, SEEDS_COVERED) is None
