"""Fixtures: a connection that looks on, and a reader over the test's database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import asyncpg
import pytest

from events.position import TopicPartition
from store import ExecutionReader, PostgresStore
from tests.store.support import Holder

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    """A connection that sees what was written."""
    opened = await asyncpg.connect(database_url)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    """A store over the test's database."""
    opened = PostgresStore(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def holder(store: PostgresStore) -> Holder:
    """Whoever holds partition 0."""
    made = Holder(store, TopicPartition("t", 0))
    await made.claim()
    return made


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[ExecutionReader]:
    """A connected reader."""
    async with ExecutionReader.connect(database_url) as connected:
        yield connected
