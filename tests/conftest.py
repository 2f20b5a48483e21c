"""Fixtures: real servers once per run, a fresh database and a fresh topic for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from store.migrate import migrate
from tests import stack
from tests.histories_seen import HistoriesSeen
from tests.stack import Servers


def pytest_configure(config: pytest.Config) -> None:
    """Watch what the laws try."""
    config.pluginmanager.register(HistoriesSeen(), "histories seen")


def pytest_report_header() -> str:
    """Say in the head of the report which servers the tests use."""
    return f"servers of the tests: {stack.kind()} (WEX_TEST_STACK)"


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers, started when the first test needs them."""
    with stack.servers() as running:
        yield running


def database(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture(scope="session")
def template(servers: Servers) -> str:
    """The name of a migrated database that tests copy."""

    async def create() -> str:
        name = f"template_{uuid4().hex[:8]}"
        await _execute(servers.database_url, f'CREATE DATABASE "{name}"')
        await migrate(database(servers.database_url, name))
        return name

    return asyncio.run(create())


@pytest.fixture
async def empty_database_url(servers: Servers) -> AsyncIterator[str]:
    """A database without a schema."""
    async with _temporary_database(servers.database_url, "template1") as url:
        yield url


@pytest.fixture
async def database_url(servers: Servers, template: str) -> AsyncIterator[str]:
    """A migrated, empty database."""
    async with _temporary_database(servers.database_url, template) as url:
        yield url


@pytest.fixture
def topic() -> str:
    """The name of a topic that no other test uses."""
    return f"executions-{uuid4().hex[:8]}"


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@asynccontextmanager
async def _temporary_database(server_url: str, template: str) -> AsyncIterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    await _execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield database(server_url, name)
    finally:
        await _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')
