"""Servers with TLS and passwords, once per run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import wex
from tests.security import certificates as made
from tests.security.certificates import Certificates
from tests.security.secure_kafka import SecureKafka, secure_kafka


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of an authority of our own."""
    return made.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[SecureKafka]:
    """A broker with a listener for each way of speaking to it."""
    with secure_kafka(Path(tmp_path_factory.mktemp("kafka")), certificates) as running:
        yield running


__all__ = ["broker", "certificates", "wex"]
