"""Prometheus' own tool for rules, and what it says of metrics that were scraped: which alerts fire.

It is the one on PATH, or the one of Debian's package, unpacked beside the other downloads.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.architecture.sources import ROOT
from tests.monitoring.scraping import Samples

RULES_FILE = ROOT / "deploy" / "prometheus" / "alerts.yml"
CACHED = Path.home() / ".cache" / "workflow-executions" / "promtool"
PATH_IN_PACKAGE = "./usr/bin/promtool"


@cache
def promtool() -> Path | None:
    """The tool; None where it cannot be had."""
    if on_path := shutil.which("promtool"):
        return Path(on_path)
    if not CACHED.exists():
        _unpack()
    return CACHED if CACHED.exists() else None


def needed() -> Path:
    """The tool; the test is skipped where it cannot be had."""
    return promtool() or pytest.skip("promtool is neither on PATH, nor can Debian's package `prometheus` be had")


def _unpack() -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return
    with tempfile.TemporaryDirectory(prefix="wex-promtool-") as folder:
        if not _runs("apt-get", "download", "prometheus", cwd=folder):
            _runs("apt-get", "update", cwd=folder)  # the lists of a fresh machine are empty
            _runs("apt-get", "download", "prometheus", cwd=folder)
        for package in Path(folder).glob("*.deb"):
            _runs(
                "sh", "-c", f'dpkg-deb --fsys-tarfile "$1" | tar -x {PATH_IN_PACKAGE}', "sh", str(package), cwd=folder
            )
            CACHED.parent.mkdir(parents=True, exist_ok=True)
            fresh = CACHED.with_suffix(f".{os.getpid()}")  # beside its place: others may unpack it at the same time
            shutil.move(Path(folder) / PATH_IN_PACKAGE, fresh)
            fresh.replace(CACHED)


def _runs(*command: str, cwd: str) -> bool:
    return subprocess.run(command, cwd=cwd, capture_output=True, check=False, timeout=120).returncode == 0


def firing(tool: Path, scrapes: Sequence[Samples | None]) -> set[str]:
    """The alerts that fire after scrapes of one consumer, as if there was a minute between them.

    Args:
        tool: promtool.
        scrapes: what was scraped; None where nobody answered.
    """
    names = sorted({name for scrape in scrapes if scrape for name in scrape}, key=str)
    series = [
        {"series": _series(*name), "values": " ".join(_value(scrape, name) for scrape in scrapes)} for name in names
    ]
    asked = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{len(scrapes) - 1}m",
        "exp_samples": [{"labels": "nobody", "value": 0}],  # which never holds, so that the tool says what there is
    }
    case = {"interval": "1m", "input_series": series, "promql_expr_test": [asked]}
    with tempfile.TemporaryDirectory(prefix="wex-rules-") as folder:
        tests = Path(folder) / "tests.yml"
        tests.write_text(
            yaml.safe_dump({"rule_files": [str(RULES_FILE)], "evaluation_interval": "1m", "tests": [case]})
        )
        said = subprocess.run([tool, "test", "rules", tests], capture_output=True, text=True, check=False)
    found = re.search(r"^\s*got:(.*)$", said.stdout + said.stderr, re.MULTILINE)
    assert found, said.stdout + said.stderr
    return set(re.findall(r'alertname="(\w+)"', found[1]))


def _series(name: str, labels: frozenset[tuple[str, str]]) -> str:
    shown = {"job": "wex", "instance": "consumer", **dict(labels)}
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in sorted(shown.items())) + "}"


def _value(scrape: Samples | None, name: tuple[str, frozenset[tuple[str, str]]]) -> str:
    return "_" if scrape is None or name not in scrape else repr(scrape[name])
