"""Validators of the schemas, the command line in this process, and the same examples of Hypothesis in every run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from consumer import cli
from events.schema import Side, event_schema
from tests.strategies import use_profile

use_profile()


@dataclass(frozen=True)
class Outcome:
    """What a command said, and how it ended."""

    exit_code: object
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


Wex = Callable[..., Outcome]
Complaints = Callable[[Side, Any], list[str]]


@pytest.fixture
def wex(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Wex:
    """Run `wex` with arguments; it needs no server."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr("sys.argv", ["wex", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return Outcome(end.value.code, said.out, said.err)

    return run


@cache
def _validator(side: Side) -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    kind = jsonschema.Draft202012Validator
    kind.check_schema(event_schema(side))
    return kind(event_schema(side), format_checker=kind.FORMAT_CHECKER)


@pytest.fixture(scope="session")
def complaints() -> Complaints:
    """Return what the schema of a side has against a value."""
    return lambda side, value: [error.message for error in _validator(side).iter_errors(value)]
