"""The page about retention runs as it stands, over the executions that it speaks of."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from events.position import TopicPartition
from store import PostgresStore
from tests.conformance.stores import Writer
from tests.docs.console import Console, linked_files
from tests.docs.pages import ROOT, table
from tests.lives import event

PAGE = ROOT / "docs" / "retention.md"
DAY = 86_400


async def _write(url: str) -> None:
    store = PostgresStore(url)
    writer = Writer(store, "workflow-executions", TopicPartition("workflow-executions", 0))
    await writer.claim()
    verbs = ("completed", "completed", "failed", "started")
    await writer.write([event(verb, day * DAY, run=f"run-{day}") for day, verb in enumerate(verbs, 1)])
    await store.close()


def test_the_page_runs_as_it_stands(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every console block of the page works, and prints what it shows."""
    asyncio.run(_write(database_url))
    console = Console(tmp_path, monkeypatch)
    monkeypatch.setenv("WEX_DATABASE_URL", database_url)

    def type_block(example: Example) -> None:
        console.type(example.parsed)

    [example] = Sybil([CodeBlockParser("console", type_block)]).parse(PAGE).examples()
    example.evaluate()


def test_the_page_names_what_there_is() -> None:
    """The files that the page links to are there, and its table has the options of a policy."""
    assert [name for name in linked_files(PAGE) if not (ROOT / name).exists()] == []
    named = " ".join(row[0] for row in table("docs/retention.md", "option"))
    for option in ("--ended-before", "--deleted-before", "--status", "--workflow", "--namespace"):
        assert option in named
