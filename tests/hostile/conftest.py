"""Hypothesis tries the same examples in every run, and the tests of a module share a database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.conftest import _temporary_database
from tests.stack import Servers
from tests.strategies import use_profile

use_profile()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared_database_url(servers: Servers, template: str) -> AsyncIterator[str]:
    """A migrated, empty database for all tests of a module: a new one for each would take longer than they do."""
    async with _temporary_database(servers.database_url, template) as url:
        yield url
