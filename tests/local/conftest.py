"""One stack with Temporal for the tests that only use it, and a site for single servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.local.site import Site
from consumer.local.stack import LocalStack

CACHE = Path.home() / ".cache" / "workflow-executions"


@pytest.fixture(scope="package")
def reports() -> list[str]:
    return []


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, reports: list[str]) -> Iterator[LocalStack]:
    with LocalStack(tmp_path_factory.mktemp("stack"), temporal=True, report=reports.append) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "data", CACHE, print)
    made.prepare()
    return made
