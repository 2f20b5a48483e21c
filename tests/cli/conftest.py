"""The command line as users call it, in this process, against the servers of the tests."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from consumer import cli
from tests.stack import Servers


@dataclass(frozen=True)
class Outcome:
    """What a command said, and how it ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What it said to a program."""
        return json.loads(self.stdout)


Wex = Callable[..., Outcome]


@pytest.fixture
def wex(
    servers: Servers,
    database_url: str,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Any,
) -> Iterator[Wex]:
    """Run `wex` with arguments; its settings name the test's own database and topic."""
    monkeypatch.setenv("WEX_KAFKA_BOOTSTRAP_SERVERS", servers.kafka_bootstrap_servers)
    monkeypatch.setenv("WEX_DATABASE_URL", database_url)
    monkeypatch.setenv("WEX_TOPICS", topic)
    monkeypatch.setenv("WEX_CONSUMER_GROUP", f"cli-{topic}")
    monkeypatch.setenv("WEX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr("sys.argv", ["wex", *arguments])
        capsys.readouterr()
        try:
            cli.main()
            code: object = 0
        except SystemExit as end:
            code = end.code or 0
        said = capsys.readouterr()
        assert isinstance(code, int)
        return Outcome(code, said.out, said.err)

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
