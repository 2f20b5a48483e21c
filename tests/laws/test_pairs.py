"""Every pair of events of a grid: what a chance generator meets seldom, such as two verbs at the same instant."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from events import Event, Verb, encode, merge, row
from events.fold import State, state_of
from events.vocabulary import VERBS
from tests import oracle
from tests.lives import at, event

AUTHORITIES = ("inferred", "worker", "server", "revising server", "operator")


def _event(number: int, verb: Verb, authority: str, attempt: int, seconds: float) -> Event:
    """One event of the grid; it carries every field, each with a value that no other event has."""
    revises: dict[str, Any] = {"revises": True} if authority == "revising server" else {}
    ended: dict[str, Any] = {"completed_at": at(500 + number)} if VERBS[verb].terminal else {}
    return event(
        verb,
        seconds,
        attempt=attempt,
        authority=authority.removeprefix("revising "),
        input=number,
        output=number,
        error={"message": str(number)},
        # Not in the order of the grid, so that a greater number is not always the later event's.
        duration_ms=number * 7919 % 1009,
        activities_executed=number * 104729 % 997,
        progress={"done": number},
        labels={"number": str(number)},
        reason=str(number),
        user_id=f"user {number}",
        started_at=at(100 + number * 31 % 89),
        **revises,
        **ended,
    )


def _grid() -> list[Event]:
    # The last is a twin: the same place, other values.
    places = product(Verb, AUTHORITIES, ((1, 0.0), (1, 1.0), (2, 0.0), (2, 1.0), (1, 1.0)))
    return [_event(number, verb, authority, *when) for number, (verb, authority, when) in enumerate(places)]


GRID = [(each, state_of(each), oracle.read(encode(each))) for each in _grid()]


@pytest.mark.parametrize("verb", Verb)
def test_the_oracle_allows_every_pair(verb: Verb) -> None:
    """Whatever two events of the grid meet, each column of their row is one that the oracle allows."""
    for number, (first, state, happening) in enumerate(GRID):
        if first.verb is not verb or first.data.attempt != 1:
            continue
        # A pair of first attempts would come twice.
        others = [entry for later, entry in enumerate(GRID) if later >= number or entry[0].data.attempt != 1]
        for other, other_state, other_happening in others:
            _compare(merge(state, other_state), [happening, other_happening], f"with {other.verb}")


def _compare(state: State, happenings: list[oracle.Happening], story: str) -> None:
    found = row(state)
    for column, allowed in oracle.rows_for(happenings).items():
        assert getattr(found, column) in allowed, f"{column} {story}: {happenings}"
