"""The workload of the benchmarks is what it says: the same every time, right, and as busy as a real log."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from benchmarks.workload import EVENTS_EACH, OPEN_AT_ONCE, REDELIVERED, Told, workload
from events import Event, decode
from events.ordinary import ordinary_event

EXECUTIONS = OPEN_AT_ONCE + 500


def told_event(told: Told) -> Event:
    """The event in a record."""
    event = decode(told.value)
    assert isinstance(event, Event)
    return event


def test_every_record_is_an_ordinary_event_under_the_key_of_its_execution() -> None:
    """The records go the short way, as those of real publishers do, and are keyed as the contract says."""
    for told in workload(300):
        event = told_event(told)
        assert ordinary_event(told.value) == event
        assert UUID(told.key.decode()) == event.execution_id


def test_the_same_arguments_give_the_same_records() -> None:
    """Two runs of a benchmark work on the same log."""
    assert list(workload(50)) == list(workload(50))
    assert list(workload(500, seed=1)) != list(workload(500, seed=2))


def test_executions_are_told_in_turns_and_some_of_it_twice() -> None:
    """Thousands are open at a time; about one record in fifty comes again, and every life is told whole."""
    records = list(workload(EXECUTIONS))
    counts = Counter(told.value for told in records)
    assert abs(len(counts) / EXECUTIONS - EVENTS_EACH) < 0.01
    assert 0.5 * REDELIVERED < (len(records) - len(counts)) / len(counts) < 1.5 * REDELIVERED
    opened = [told.execution for told in records[:OPEN_AT_ONCE]]
    assert len(set(opened)) > 0.8 * OPEN_AT_ONCE
