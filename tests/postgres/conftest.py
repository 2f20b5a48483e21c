"""Fixtures: a connection to the test's own database, and a store over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import asyncpg
import pytest

from events.position import TopicPartition
from store import PostgresStore
from tests.conformance.stores import Writer
from tests.postgres.planning import Planner, planning
from tests.stack import Servers
from tests.strategies import use_profile

use_profile()

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
    """The store under test."""
    opened = PostgresStore(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def writer(store: PostgresStore) -> Writer:
    """A consumer that holds partition 0 of the topic `executions`."""
    holder = Writer(store, "g", TopicPartition("executions", 0))
    await holder.claim()
    return holder


@pytest.fixture(scope="session")
def planner(servers: Servers, template: str) -> Iterator[Planner]:
    """A session like a reader's, over thirty thousand executions that nobody changes."""
    with planning(servers.database_url, template) as opened:
        yield opened
