"""The 56 lives through the real apply: PostgreSQL's merge gives the row that Python's fold gives, in every order."""

from __future__ import annotations

import math
import random
from itertools import chain, pairwise, permutations
from typing import Any

import pytest

from events import Event, ExecutionRow, fold, row
from store import ExecutionReader
from tests.conformance.stores import Writer, row_of
from tests.lives import LIVES, life, shown

ORDERS_MIN = 24
BATCHES = 200

Expected = dict[str, Any]


def orders(size: int) -> list[tuple[int, ...]]:
    """Every order of so many events; where there are few, as often as it takes to cut them in many ways."""
    every = list(permutations(range(size)))
    return every * math.ceil(ORDERS_MIN / len(every))


def spread(events: list[Event], batches: list[list[Event]], chance: random.Random) -> None:
    """Cut the events anywhere, and put the pieces one after the other into batches."""
    cuts = sorted(chance.sample(range(1, len(events)), chance.randrange(len(events))))
    places = sorted(chance.sample(range(len(batches)), len(cuts) + 1))
    for place, (begin, end) in zip(places, pairwise([0, *cuts, len(events)]), strict=True):
        batches[place] += events[begin:end]


@pytest.fixture
def chance() -> random.Random:
    """The same chance in every run."""
    return random.Random(7)


def test_the_pieces_of_a_life_keep_their_order(chance: random.Random) -> None:
    """A life is spread over batches in the order in which it is to be read, and nothing is lost."""
    events, _ = life(max(range(1, len(LIVES) + 1), key=lambda number: len(LIVES[number - 1]["events"])))
    sizes = set()
    for _ in range(50):
        batches: list[list[Event]] = [[] for _ in range(BATCHES)]
        spread(events, batches, chance)
        assert list(chain(*batches)) == events
        sizes.add(len(list(filter(None, batches))))
    assert sizes == set(range(1, len(events) + 1))


async def test_every_life_gives_its_row_in_postgresql(database_url: str, writer: Writer, chance: random.Random) -> None:
    """Each life in every order, with a duplicate, cut anywhere, ends as the fold's row and as its users expect."""
    batches: list[list[Event]] = [[] for _ in range(BATCHES)]
    wanted: list[tuple[str, ExecutionRow, Expected]] = []
    for number in range(1, len(LIVES) + 1):
        for turn, order in enumerate(orders(len(LIVES[number - 1]["events"]))):
            events, expected = life(number, run=f"life {number}, order {turn}")
            read = [events[place] for place in order]
            read.insert(chance.randrange(len(read) + 1), chance.choice(read))
            spread(read, batches, chance)
            wanted.append((f"life {number} as {[*order]}", row(fold(events)), expected))
    for batch in batches:
        await writer.write(batch)
    async with ExecutionReader.connect(database_url) as reader:
        for story, of_fold, expected in wanted:
            execution = await reader.get_by_id(of_fold.id, include_deleted=True)
            assert execution is not None, story
            assert row_of(execution) == of_fold, story
            assert {name: shown(row_of(execution))[name] for name in expected} == expected, story
