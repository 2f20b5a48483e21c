"""The guard of a position, searched through in every order that two workers and some faults can make."""

from __future__ import annotations

import pytest

from tests.simulation.model import COLUMNS, GUARDS, SHIPPED, THREE, Fault, Guard, Model, Token

BLIND = Guard(Token.NONE, offset=False)
COUNTER_ALONE = Guard(Token.COUNTER, offset=False)
RANDOM_ALONE = Guard(Token.RANDOM, offset=False)
OFFSET_ALONE = Guard(Token.NONE, offset=True)
COUNTER_AND_OFFSET = Guard(Token.COUNTER, offset=True)

# guard, the fault that breaks it, and how the story must end
BROKEN = (
    (BLIND, Fault.NONE, "applied were [0, 0]"),
    (COUNTER_ALONE, Fault.FAILOVER, "applied were [1]"),
    (COUNTER_ALONE, Fault.REBUILD, "old fold"),
    (COUNTER_ALONE, Fault.LATE_WRITE, "applied were [0, 0]"),
    (RANDOM_ALONE, Fault.FAILOVER, "applied were [1]"),
    (RANDOM_ALONE, Fault.LATE_WRITE, "applied were [0, 0]"),
    (RANDOM_ALONE._replace(resync=False), Fault.LOST_ANSWER, "applied were [0, 0]"),
    (OFFSET_ALONE, Fault.REBUILD, "old fold"),
    (COUNTER_AND_OFFSET, Fault.REBUILD, "old fold"),
)
SAFE = (
    (COUNTER_ALONE, Fault.LOST_ANSWER),
    (RANDOM_ALONE, Fault.LOST_ANSWER),
    (RANDOM_ALONE, Fault.REBUILD),
    (OFFSET_ALONE, Fault.LOST_ANSWER),
    (OFFSET_ALONE, Fault.FAILOVER),
    (COUNTER_AND_OFFSET, Fault.LOST_ANSWER),
    (COUNTER_AND_OFFSET, Fault.FAILOVER),
)


@pytest.mark.parametrize("faults", COLUMNS.values(), ids=COLUMNS)
def test_the_guard_that_ships_is_safe_in_every_state(faults: Fault) -> None:
    """A random token and the offset together hold against every mix of the faults."""
    assert Model(SHIPPED, faults).search().story == ()


def test_a_writer_that_does_not_read_the_row_is_only_slower() -> None:
    """With both parts of the guard, trying again instead of reading the row writes nothing that is wrong."""
    assert Model(SHIPPED._replace(resync=False), THREE).search().safe


@pytest.mark.parametrize(
    ("guard", "fault", "end"), BROKEN, ids=[f"{guard} by {fault.name}" for guard, fault, _ in BROKEN]
)
def test_every_weaker_guard_is_broken_by_a_fault(guard: Guard, fault: Fault, end: str) -> None:
    """Each weaker guard lets a wrong write through, and the story of it is told step by step."""
    result = Model(guard, fault).search()
    assert not result.safe
    assert end in result.story[-1], "\n".join(result.story)


@pytest.mark.parametrize(("guard", "fault"), SAFE, ids=[f"{guard} under {fault.name}" for guard, fault in SAFE])
def test_what_a_weaker_guard_does_hold_against_is_known(guard: Guard, fault: Fault) -> None:
    """A weaker guard is broken by the fault that is named for it, and not by just any."""
    assert Model(guard, fault).search().safe


def test_no_weaker_guard_survives_all_faults() -> None:
    """Under the faults together only the token and the offset together hold."""
    weaker = [guard for guard in GUARDS if guard._replace(resync=True) != SHIPPED]
    assert [str(guard) for guard in weaker if Model(guard, THREE).search().safe] == []


def test_a_story_can_be_followed() -> None:
    """The story of a random token alone names who skips a record after a failover."""
    assert Model(RANDOM_ALONE, Fault.FAILOVER).search().story == (
        "worker 0 claims with token 1 and reads position 0",
        "worker 0 begins to write 0..1",
        "a copy of the database stays behind at 0",
        "worker 0: the write 0..1 is committed, or fenced",
        "worker 0 begins to write 1..2",
        "failover: the position is 0 again",
        "worker 0: the write 1..2 is committed, or fenced",
        "violation: the position is 2, and applied were [1]",
    )
