"""The README runs as it stands, and its links lead somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from events import Verb
from tests.docs.console import Console, commands, linked_files, steady
from tests.docs.pages import ROOT, table

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """A shell in an empty folder; a stack that it leaves behind is stopped."""
    shell = Console(tmp_path, monkeypatch)
    yield shell
    shell.run("wex down")


@pytest.mark.timeout(240)  # it starts a stack of its own, as a newcomer does
def test_the_readme_runs_as_it_stands(console: Console) -> None:
    """Every console block and every Python block of the README works, from top to bottom, and prints what it shows."""

    def type_block(example: Example) -> None:
        console.type(example.parsed)

    page = Sybil([PythonCodeBlockParser(), CodeBlockParser("console", type_block)]).parse(ROOT / "README.md")
    examples = list(page.examples())
    assert len(examples) >= 8
    for example in examples:
        example.evaluate()


def test_the_readme_names_the_commands_that_prove_it() -> None:
    """The README begins with `make demo` and `make test`, which exist."""
    makefile = (ROOT / "Makefile").read_text()
    top = (ROOT / "README.md").read_text().split("##", 1)[0]
    for target in ("demo", "test"):
        assert f"make {target} " in top
        assert f"\n{target}: " in makefile


def test_every_call_of_an_older_service_becomes_a_verb() -> None:
    """The table of calls names verbs of the contract and methods of the publisher only."""
    from events.publisher import ExecutionPublisher

    words = {word.strip("`") for row in table("README.md", "call") for word in row[1].split() if word.startswith("`")}
    assert words <= {str(verb) for verb in Verb}
    assert {str(verb) for verb in Verb if not hasattr(ExecutionPublisher, verb)} == set()


@pytest.mark.parametrize("page", sorted(set(PAGES)), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each link of a page to a file of the project leads to one."""
    assert [link for link in linked_files(page) if not (ROOT / link).exists()] == []


def test_console_blocks_are_read_as_people_read_them() -> None:
    """A command may go on after a backslash, output belongs to the command above, and what changes is left out."""
    block = "$ one \\\n  two\nout\n\n$ three\n$ four\n a   b\n"
    assert list(commands(block)) == [("one \\\n  two", "out\n"), ("three", ""), ("four", " a   b")]
    assert steady("a  2 seconds ago \n") == steady("a just now")
    assert steady("a") != steady("b")
