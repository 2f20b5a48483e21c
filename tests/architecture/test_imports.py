"""Who may import whom, and who may ask the operating system."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.architecture.sources import CODE, EVERYTHING, ROOT, modules, place, tree

SETTINGS = ROOT / "consumer" / "settings.py"
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def pyproject() -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def contract(part_of_name: str) -> dict[str, Any]:
    """The import contract whose name contains some words."""
    contracts = pyproject()["tool"]["importlinter"]["contracts"]
    [found] = [contract for contract in contracts if part_of_name in contract["name"]]
    return dict(found)


def asks_environment(path: Path) -> Iterator[int]:
    """The lines in which a module reads or writes the environment."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr=name, lineno=line) if name in ENVIRONMENT:
                yield line
            case ast.ImportFrom(module="os", names=names, lineno=line) if ENVIRONMENT & {n.name for n in names}:
                yield line
            case ast.keyword(arg="envvar", lineno=line):  # click would read it
                yield line


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of a copy of the project."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_contracts_of_imports_hold() -> None:
    """Every import contract in pyproject.toml is kept."""
    linted = lint_imports(ROOT)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_every_contract_of_imports_can_be_broken(tmp_path: Path) -> None:
    """No contract is kept merely because it watches the wrong modules."""
    broken = {
        "events/fold.py": "import time\nimport store\n",
        "events/adapters/temporal/names.py": "import aiokafka\n",
        "consumer/cli.py": "import asyncpg\nimport aiokafka\nimport pyarrow\n",
        "consumer/partition.py": "import random\n",
        "tests/oracle.py": "import events\n",
    }
    for folder in EVERYTHING:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, imports in broken.items():
        path = tmp_path / name
        path.write_text(path.read_text() + imports)
    count = len(pyproject()["tool"]["importlinter"]["contracts"])
    assert f"Contracts: 0 kept, {count} broken." in lint_imports(tmp_path).stdout


def test_every_module_of_the_contract_is_held_to_purity() -> None:
    """Each module directly in `events` is named by the contract that keeps it pure."""
    pure = {f"events.{path.stem}" for path in (ROOT / "events").glob("*.py")} - {"events.__init__"}
    assert set(contract("events is pure")["source_modules"]) == pure


def test_the_environment_is_read_in_one_place() -> None:
    """Only consumer.settings asks for the environment, so that every variable is a documented setting."""
    found = [place(p, line) for p in modules(*CODE) if p != SETTINGS for line in asks_environment(p)]
    assert found == []


def test_the_environment_is_found_when_it_is_read(tmp_path: Path) -> None:
    """The rule above sees every way of reading the environment."""
    reader = tmp_path / "reader.py"
    reader.write_text("import os\nfrom os import getenv\nos.environ['A']\nos.getenv('A')\noption(envvar='A')\n")
    assert sorted(asks_environment(reader)) == [2, 3, 4, 5]
