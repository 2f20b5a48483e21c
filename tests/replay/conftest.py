"""What the tests of replays share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from consumer.replay.rebuild import Rebuild
from tests.stack import Servers

Rebuilding = Callable[[], Rebuild]


@pytest.fixture
def rebuild(servers: Servers, database_url: str) -> Rebuilding:
    """Makes a replay of the test's database."""
    return lambda: Rebuild(servers.kafka_bootstrap_servers, database_url, "tests")
