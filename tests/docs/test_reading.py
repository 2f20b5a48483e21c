"""The page about reading runs as it stands, over the executions that it speaks of."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from consumer.commands.filters import filters
from events import Event
from events.position import TopicPartition
from store import PostgresStore
from tests.conformance.stores import Writer
from tests.docs.console import Console
from tests.docs.pages import ROOT, table
from tests.lives import BEGIN, event


async def _write(url: str) -> None:
    now = (datetime.now(UTC) - BEGIN - timedelta(seconds=5)).total_seconds()
    hour = 3_600

    def order(number: int, verb: str, hours: int, user: str, **data: Any) -> Event:
        names: dict[str, Any] = {"workflow_id": "order", "temporal_workflow_id": f"order-{number}", "user_id": user}
        started_at = BEGIN + timedelta(seconds=now - hours * hour)
        return event(verb, now - hours * hour, started_at=started_at, **names, **data)

    def error(number: int) -> dict[str, str]:
        return {"message": f"card {number} declined", "type": "CardDeclined"}

    store = PostgresStore(url)
    writer = Writer(store, "workflow-executions", TopicPartition("workflow-executions", 0))
    await writer.claim()
    told = [
        order(40, "started", 72, "ann"),
        order(41, "failed", 3, "bob", error=error(16), duration_ms=840),
        order(42, "failed", 2, "ann", error=error(17), duration_ms=1500),
        order(42, "started", 2, "ann"),
    ]
    await writer.write(told)
    await store.close()


def test_the_page_runs_as_it_stands(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every console block and every Python block of the page works, and prints what it shows."""
    asyncio.run(_write(database_url))
    console = Console(tmp_path, monkeypatch)
    monkeypatch.setenv("WEX_DATABASE_URL", database_url)

    def type_block(example: Example) -> None:
        console.type(example.parsed)

    page = Sybil([PythonCodeBlockParser(), CodeBlockParser("console", type_block)]).parse(ROOT / "docs" / "reading.md")
    examples = list(page.examples())
    assert len(examples) == 10
    for example in examples:
        example.evaluate()


def test_the_page_names_every_filter() -> None:
    """The table of options has each option of a filter, and no other."""
    named = {word for row in table("docs/reading.md", "option") for word in re.findall(r"--[a-z-]+", row[0])}
    made = [option for option in click.command()(filters(lambda: None)).params if isinstance(option, click.Option)]
    assert named == {word for option in made for word in (*option.opts, *option.secondary_opts)}
