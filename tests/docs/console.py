"""Console blocks of a page, typed into a shell and compared with what they show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

# What differs from run to run, and the sign that stands for it on both sides.
CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+00:00"), "<time>"),
    (re.compile(r"\d+ (?:second|minute)s? ago|just now"), "<ago>"),
    (re.compile(r"[ \t]+"), " "),  # a column is as wide as what stands in it
)
TIMEOUT_SECONDS = 90


def commands(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a block with the output that it shows for each."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        ends = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
        yield "\n".join(lines[: ends + 1]), "\n".join(lines[ends + 1 :])


def steady(output: str) -> str:
    """An output without what differs from run to run."""
    for pattern, sign in CHANGING:
        output = pattern.sub(sign, output)
    return "\n".join(line.strip() for line in output.strip().splitlines())


class Console:
    """A shell in a folder of its own: what a command exports, the next one sees, and Python too."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        for name in os.environ:
            if name.startswith("WEX_"):
                monkeypatch.delenv(name)
        programs = Path(sys.executable).parent
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")

    def type(self, block: str) -> None:
        """Run a block's commands one by one and compare what they print."""
        for command, shown in commands(block):
            assert steady(self.run(command)) == steady(shown), f"$ {command}"

    def run(self, command: str) -> str:
        """Run one command and return its standard output; it must succeed."""
        exported = self._folder / "exported"
        script = f'{command}\ncode=$?\nenv -0 >"{exported}"\nexit $code'
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"$ {command}\n{ended.stdout}{ended.stderr}"
        for entry in exported.read_text().split("\0"):
            name, _, value = entry.partition("=")
            if name.startswith("WEX_"):
                self._monkeypatch.setenv(name, value)
        return ended.stdout


def linked_files(page: Path) -> list[str]:
    """The files and folders of the project that a page links to."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    return [str((page.parent / link).resolve().relative_to(ROOT)) for link in links if "://" not in link]
