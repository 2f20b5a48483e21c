"""The merge is a maximum: what order, repetition and grouping of events cannot change."""

from __future__ import annotations

import json
from collections import defaultdict
from fractions import Fraction
from functools import reduce
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import Event, State, encode, fold, merge, row
from events.catalogue import Catalogue
from events.fold import state_of
from events.vocabulary import Verb
from tests import oracle
from tests.histories_seen import cells
from tests.lives import event
from tests.strategies import cut_histories, histories, several_histories


def happening(event: Event) -> oracle.Happening:
    """An event as the oracle reads it, its whole numbers exact however they are written, as in PostgreSQL."""
    exact = json.loads(encode(event), parse_float=lambda text: int(n) if (n := Fraction(text)) % 1 == 0 else float(n))
    return oracle.read(json.dumps(exact).encode())


@pytest.mark.law
@given(cut_histories(2))
def test_merge_is_commutative(parts: list[list[Event]]) -> None:
    """Two states merge into the same state whichever comes first."""
    left, right = map(fold, parts)
    assert merge(left, right) == merge(right, left)


@pytest.mark.law
@given(cut_histories(3))
def test_merge_is_associative(parts: list[list[Event]]) -> None:
    """Three states merge into the same state however they are grouped."""
    one, two, three = map(fold, parts)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))


@pytest.mark.law
@given(histories())
def test_merge_is_idempotent(history: list[Event]) -> None:
    """A state merged with itself, or with a part of itself, is itself."""
    state = fold(history)
    assert merge(state, state) == state
    assert merge(state, state_of(history[0])) == state


@pytest.mark.law
@given(histories(), st.data())
def test_order_duplicates_and_splits_do_not_show(history: list[Event], data: st.DataObject) -> None:
    """Any permutation of the events, with duplicates and cut into batches anywhere, gives the same row."""
    repeated = history + data.draw(st.lists(st.sampled_from(history), max_size=4))
    shuffled = data.draw(st.permutations(repeated))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(shuffled)))) | {0, len(shuffled)})
    batches = [fold(shuffled[begin:end]) for begin, end in pairwise(cuts)]
    state = reduce(merge, data.draw(st.permutations(batches)))
    assert state == fold(history)
    assert row(state) == row(fold(history))


@pytest.mark.law
@given(histories(min_size=2))
def test_equal_orders_mean_equal_values(history: list[Event]) -> None:
    """Two events that feed a register with the same order feed it with the same values."""
    for left, right in combinations(map(cells, history), 2):
        for name in left.keys() & right.keys():
            assert left[name].order != right[name].order or left[name].values == right[name].values, name


@pytest.mark.law
@given(histories(8))
def test_the_oracle_allows_every_column_of_any_history(history: list[Event]) -> None:
    """Every column of the row is one that an independent oracle allows, for any history."""
    found = row(fold(history))
    allowed = oracle.rows_for(list(map(happening, history)))
    wrong = {name: getattr(found, name) for name, values in allowed.items() if getattr(found, name) not in values}
    assert wrong == {}


@pytest.mark.law
@given(histories(), st.sampled_from(list(Verb)))
def test_every_event_leaves_its_time(history: list[Event], verb: Verb) -> None:
    """The first and the last event's time bound the row, whatever the verbs."""
    history = [*history, event(verb, 0.5, authority="operator", attempt=1, completed_at=history[0].time)]
    state = fold(history)
    assert (state.created_at, state.updated_at) == (min(e.time for e in history), max(e.time for e in history))


@pytest.mark.law
@given(histories(8))
def test_a_verdict_has_an_end_and_everything_else_has_none(history: list[Event]) -> None:
    """A terminal status always comes with completed_at, no other status ever does, and no duration is negative."""
    shown = row(fold(history))
    assert shown.status.terminal == (shown.completed_at is not None)
    assert shown.duration_ms is None or shown.duration_ms >= 0
    assert shown.created_at <= shown.updated_at


@pytest.mark.law
@given(histories(6))
def test_a_higher_attempt_reopens_whatever_came_before(history: list[Event]) -> None:
    """A start of a higher attempt is running, without anything of the attempt before, even after an operator's word."""
    shown = row(fold([*history, event("started", 2.0, attempt=9)]))
    assert (shown.status, shown.attempt, shown.completed_at, shown.duration_ms) == ("running", 9, None, None)
    assert (shown.output, shown.error, shown.progress, shown.activities_executed) == (None, None, None, None)
    assert not shown.contested


@pytest.mark.law
@given(histories(6), st.sampled_from([verb for verb in Verb if verb.value in oracle.TERMINAL]))
def test_a_guess_never_beats_a_report(history: list[Event], verb: Verb) -> None:
    """A guess at any time changes no status that a report of its attempt gave."""
    reported = [*history, event("completed", 1.0, attempt=3)]
    guess = event(verb, 300_000.0, attempt=3, authority="inferred")
    assert row(fold([*reported, guess])).status == row(fold(reported)).status


@pytest.mark.law
@given(several_histories(), st.data())
def test_the_catalogue_does_not_depend_on_order_or_split(history: list[Event], data: st.DataObject) -> None:
    """The catalogue of any split in any order is the catalogue of the whole."""
    shuffled = data.draw(st.permutations(history))
    cut = data.draw(st.integers(0, len(shuffled)))
    merged = Catalogue.of(shuffled[cut:])
    merged.merge(Catalogue.of(shuffled[:cut]))
    merged.merge(Catalogue.of(shuffled[:cut]))
    assert merged == Catalogue.of(history)


def test_states_of_two_executions_do_not_merge() -> None:
    """Merging states of different executions is an error, not a mixture."""
    with pytest.raises(ValueError, match="two executions cannot be merged"):
        merge(state_of(event("started")), state_of(event("started", run="run-2")))
    with pytest.raises(ValueError, match="two executions cannot be merged"):
        fold([event("started"), event("started", run="run-2")])


def test_an_execution_without_events_has_no_state() -> None:
    """Folding nothing is an error, for nothing has no run."""
    with pytest.raises(ValueError, match="without events"):
        fold([])


@pytest.mark.law
@given(several_histories())
def test_executions_do_not_disturb_each_other(history: list[Event]) -> None:
    """Folding event by event into whatever execution each names gives what folding each execution alone gives."""
    states: dict[object, State] = {}
    for e in history:
        state = state_of(e)
        states[e.execution_id] = merge(states[e.execution_id], state) if e.execution_id in states else state
    apart = defaultdict(list)
    for e in history:
        apart[e.execution_id].append(e)
    assert states == {id_: fold(of_one) for id_, of_one in apart.items()}
