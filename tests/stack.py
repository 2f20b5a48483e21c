"""The servers that tests run on: local processes, or containers where a Docker engine answers and they are asked for.

`WEX_TEST_STACK=local|containers` chooses; local is the default, since it needs nothing but packages.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from consumer.local.stack import LocalStack


@dataclass(frozen=True)
class Servers:
    """Where the servers are, and how they were started."""

    kind: str
    kafka_bootstrap_servers: str
    database_url: str
    local: LocalStack | None


def kind() -> str:
    """What the tests' servers are started with."""
    wanted = os.environ.get("WEX_TEST_STACK", "local")
    assert wanted in ("local", "containers"), f"WEX_TEST_STACK must be local or containers, not {wanted!r}"
    return wanted


@contextmanager
def servers() -> Iterator[Servers]:
    """Start the servers, and stop them at the end."""
    with _containers() if kind() == "containers" else _local() as running:
        yield running


@contextmanager
def _local() -> Iterator[Servers]:
    with tempfile.TemporaryDirectory(prefix="wex-tests-") as folder, LocalStack(Path(folder)) as stack:
        yield Servers("local", stack.kafka_bootstrap_servers, stack.database_url, stack)


@contextmanager
def _containers() -> Iterator[Servers]:
    import docker
    from docker.errors import DockerException
    from testcontainers.community.kafka import KafkaContainer
    from testcontainers.community.postgres import PostgresContainer

    try:
        docker.from_env().ping()
    except DockerException as error:
        pytest.exit(f"WEX_TEST_STACK=containers, but no Docker engine answers: {error}", returncode=5)
    broker = KafkaContainer().with_kraft()
    for name in ("TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "TRANSACTION_STATE_LOG_MIN_ISR"):
        broker = broker.with_env(f"KAFKA_{name}", "1")
    broker = broker.with_env("KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS", "1000")
    with PostgresContainer("postgres:18", driver=None) as postgres, broker as kafka:
        yield Servers("containers", kafka.get_bootstrap_server(), postgres.get_connection_url(), None)
