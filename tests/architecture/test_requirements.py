"""The pinned requirements are those of pyproject.toml; `make requirements` pins them anew."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture.sources import ROOT

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
RUN = [*PYPROJECT["project"]["dependencies"], *EXTRAS["temporal"]]
EVERYTHING = [*RUN, *EXTRAS["archive"], *EXTRAS["local"], *PYPROJECT["dependency-groups"]["dev"]]
BENCH = PYPROJECT["dependency-groups"]["bench"]


def pinned(file: str) -> dict[str, set[Version]]:
    """The versions that a file pins; one name has several where platforms differ."""
    versions: dict[str, set[Version]] = {}
    for name, version in PIN.findall((ROOT / "requirements" / file).read_text()):
        versions.setdefault(canonicalize_name(name), set()).add(Version(version))
    return versions


@pytest.mark.parametrize(("file", "wanted"), [("run.txt", RUN), ("dev.txt", EVERYTHING), ("bench.txt", BENCH)])
def test_every_requirement_is_pinned_within_its_bounds(file: str, wanted: list[str]) -> None:
    """Each dependency of pyproject.toml is pinned to a version that it allows."""
    pins = pinned(file)
    wrong = [
        text
        for text in wanted
        for requirement in [Requirement(text)]
        if not (versions := pins.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version, prereleases=True) for version in versions)
    ]
    assert wrong == [], f"requirements/{file} is behind pyproject.toml: run `make requirements`"


def test_nothing_is_pinned_that_nobody_asks_for() -> None:
    """Each pin without a parent package belongs to pyproject.toml, so that a dropped dependency leaves."""
    text = (ROOT / "requirements" / "dev.txt").read_text()
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    direct = {
        canonicalize_name(PIN.findall(block)[0][0])
        for block in blocks
        if "workflow-executions (pyproject.toml" in block
    }
    assert direct == {canonicalize_name(Requirement(text).name) for text in EVERYTHING}


def test_what_the_benchmarks_add_changes_nothing_else() -> None:
    """The packages of `make bench` are installed on top of those of the tests, and agree with them."""
    tested, added = pinned("dev.txt"), pinned("bench.txt")
    assert {name: versions for name, versions in added.items() if not tested.get(name, versions) >= versions} == {}


def test_what_runs_is_what_is_tested() -> None:
    """The image installs the very versions that the tests run with."""
    tested = pinned("dev.txt")
    assert {name: versions for name, versions in pinned("run.txt").items() if tested.get(name) != versions} == {}
