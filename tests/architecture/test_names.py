"""Our top-level names are generic: nobody else may own them, and whoever does is named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from consumer import names
from consumer.errors import WexError
from tests.architecture.sources import CODE, ROOT

RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from consumer.cli import main; main()"


def run_wex(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `wex --version` with a folder that Python looks into first."""
    command = [sys.executable, "-c", RUN, str(folder), "--version"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder into which a package called Events has installed its `events`."""
    record = tmp_path / "Events-0.5.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: Events\nVersion: 0.5\n")
    (record / "top_level.txt").write_text("events\n")
    foreign = tmp_path / "events"
    foreign.mkdir()
    (foreign / "__init__.py").write_text('"""Python Event Handling."""\n')
    return tmp_path


def test_nobody_else_owns_our_names() -> None:
    """No installed package brings a top-level package called like one of ours."""
    installed = packages_distributions()
    owners = {name: set(installed.get(name, ())) - {"workflow-executions"} for name in CODE}
    assert owners == {name: set() for name in CODE}
    names.check()


def test_a_package_in_front_of_ours_is_named(site: Path) -> None:
    """`wex` ends with the name of the package that stands in the way, and with what to do."""
    ended = run_wex(site)
    assert ended.returncode == 1
    assert f"'events' is in {site / 'events'} and is not ours; it belongs to Events" in ended.stderr
    assert "an environment of its own" in ended.stderr


def test_a_package_that_overwrote_ours_is_named(site: Path) -> None:
    """`wex` notices a foreign package in the very folder that is ours."""
    for name in CODE:
        overwritten = shutil.ignore_patterns("__pycache__", *(["__init__.py"] if name == "events" else []))
        shutil.copytree(ROOT / name, site / name, ignore=overwritten, dirs_exist_ok=True)
    ended = run_wex(site)
    assert ended.returncode == 1
    assert f"'events' is in {site / 'events'} and is not ours; it belongs to Events" in ended.stderr


def test_a_missing_package_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads nowhere is reported as such."""
    monkeypatch.setattr(names, "find_spec", lambda _: None)
    with pytest.raises(WexError, match="'events' is nowhere"):
        names.check()


def test_help_is_instant() -> None:
    """`wex --help` takes less than 150 ms of the processor, the guard included."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    seconds = []
    for _ in range(5):
        before = os.times()
        subprocess.run(
            [sys.executable, "-m", "consumer", "--help"], cwd=ROOT, env=environment, capture_output=True, check=True
        )
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(seconds) < 0.15
