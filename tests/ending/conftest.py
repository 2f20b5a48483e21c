"""The settings of the consumers that are asked to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stack import Servers


@pytest.fixture
def settings(servers: Servers, database_url: str, topic: str, tmp_path: Path) -> dict[str, str]:
    """A consumer of the test's own topic, which serves nothing."""
    return {
        "WEX_KAFKA_BOOTSTRAP_SERVERS": servers.kafka_bootstrap_servers,
        "WEX_DATABASE_URL": database_url,
        "WEX_TOPICS": topic,
        "WEX_CONSUMER_GROUP": topic,
        "WEX_DATA_DIR": str(tmp_path),
        "WEX_HTTP_PORT": "off",
        "WEX_KAFKA_SESSION_TIMEOUT_MS": "6000",
    }
