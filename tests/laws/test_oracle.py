"""The fold and an oracle that shares nothing with it agree."""

from __future__ import annotations

import pytest

from events import encode, fold, row
from tests import oracle
from tests.lives import LIVES, life


@pytest.mark.parametrize("number", range(1, len(LIVES) + 1))
def test_the_oracle_allows_every_column_of_every_life(number: int) -> None:
    """For each life every column of the row is one that the oracle allows."""
    events, _ = life(number)
    found = row(fold(events))
    allowed = oracle.rows_for([oracle.read(encode(event)) for event in events])
    assert {column: getattr(found, column) for column in allowed} == {
        column: next((value for value in values if value == getattr(found, column)), values)
        for column, values in allowed.items()
    }
