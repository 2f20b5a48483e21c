"""Fixtures: each test of the conformance suite runs against every store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from events.position import TopicPartition
from tests.conformance.stores import Kept, KeptInMemory, KeptInPostgres, Writer, kept_in_postgres
from tests.strategies import use_profile

use_profile()

A, B = TopicPartition("executions", 0), TopicPartition("executions", 1)


@pytest.fixture
def kept_in_memory() -> KeptInMemory:
    """A store in memory."""
    return KeptInMemory()


@pytest.fixture
async def kept_in_database(database_url: str) -> AsyncIterator[KeptInPostgres]:
    """A store in PostgreSQL."""
    async with kept_in_postgres(database_url) as kept:
        yield kept


@pytest.fixture(params=["kept_in_memory", "kept_in_database"])
def kept(request: pytest.FixtureRequest) -> Kept:
    """A store, once in memory and once in PostgreSQL."""
    found: Kept = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def writer(kept: Kept) -> Writer:
    """A consumer of the first partition."""
    return Writer(kept.store, "g", A)


@pytest.fixture
def rival(kept: Kept) -> Writer:
    """Another process that is given the same partition."""
    return Writer(kept.other, "g", A)
