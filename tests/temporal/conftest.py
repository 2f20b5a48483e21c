"""A real Temporal server for the package's tests, started alone: Kafka and PostgreSQL come from the shared fixtures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from consumer.local import ports
from consumer.local.site import Site
from consumer.local.temporal import TemporalServer
from events.publisher import ExecutionPublisher
from tests.stack import Servers

CACHE = Path.home() / ".cache" / "workflow-executions"


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    site = Site(tmp_path_factory.mktemp("temporal"), CACHE, print)
    site.prepare()
    server = TemporalServer(site)
    server.port = ports.choose("temporal", None)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
async def client(temporal: TemporalServer) -> Client:
    return await Client.connect(temporal.address)


@pytest.fixture
async def publisher(servers: Servers, topic: str) -> AsyncIterator[ExecutionPublisher]:
    async with ExecutionPublisher(
        bootstrap_servers=servers.kafka_bootstrap_servers, topic=topic, source="/tests"
    ) as opened:
        yield opened
