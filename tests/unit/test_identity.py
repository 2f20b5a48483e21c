"""Identity: three names make a run, and the run's id follows from them for ever."""

from __future__ import annotations

from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import RunKey, RunRef, execution_id
from events.position import Position, TopicPartition
from tests.strategies import any_identifiers

NAMESPACE = UUID("6f1d3c52-9a1e-5b7c-8f44-2b7f0c6f8a11")
# Pinned: rows, keys and links outside of this service hold these ids.
GOLDEN = {
    ("default", "invoice-42", "run-1"): ('["default","invoice-42","run-1"]', "68b5ea10-b4ea-59d9-832d-5c1b2f95957a"),
    ('a"b', "é\n😀", "\\"): ('["a\\"b","é\\n😀","\\\\"]', "5b224e78-287b-5a3b-b061-b43ebb2a55a6"),
}


@pytest.mark.parametrize(("names", "expected"), GOLDEN.items(), ids=["plain", "odd"])
def test_ids_are_pinned(names: tuple[str, str, str], expected: tuple[str, str]) -> None:
    """The id of a run is the UUIDv5 of the compact JSON array of its names, and never changes."""
    name, id_ = expected
    assert str(execution_id(*names)) == id_
    assert execution_id(*names) == uuid5(NAMESPACE, name)


@given(st.tuples(any_identifiers, any_identifiers, any_identifiers), st.integers(0, 2), any_identifiers)
def test_each_name_makes_a_difference(names: tuple[str, str, str], which: int, other: str) -> None:
    """Changing any one of the three names, to any text, changes the id; the same names give the same id."""
    changed = [other if n == which else name for n, name in enumerate(names)]
    assert (execution_id(*names) == execution_id(*changed)) == (names[which] == other)


def test_names_cannot_run_into_each_other() -> None:
    """The border between two names is part of the id, also for names with quotes and commas."""
    assert execution_id("a", "b", "c") != execution_id("a", "bc", "")
    assert execution_id("a", 'b","c', "d") != execution_id("a", "b", 'c","d')


def test_a_reference_names_the_run() -> None:
    """A run reference, its key and its parts agree on the id; the namespace is `default` unless it is said."""
    run = RunRef("invoice", "invoice-42", "run-1")
    assert run.key == RunKey("default", "invoice-42", "run-1")
    assert run.id == run.key.id == execution_id("default", "invoice-42", "run-1")
    assert RunRef("other", "invoice-42", "run-1").id == run.id
    assert RunRef("invoice", "invoice-42", "run-1", namespace="n").id != run.id


def test_positions_are_written_as_operators_write_them() -> None:
    """A partition reads topic/partition and a position topic/partition@offset."""
    assert str(TopicPartition("t", 3)) == "t/3"
    assert str(Position("t", 3, 17)) == "t/3@17"
