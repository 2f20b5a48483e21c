"""The page about replays shows the archive as it is."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from tests.consuming import produce
from tests.docs.console import Console, commands, steady
from tests.docs.pages import ROOT, table
from tests.replay.applying import apply_all
from tests.replay.load import records
from tests.stack import Servers

SIZE = re.compile(r"[\d.]+ [KM]iB")


def test_the_archive_is_used_as_the_page_says(
    servers: Servers, database_url: str, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every console block of the page works and prints what it shows, but for the topic's name and sizes of files."""

    async def prepare() -> None:
        await produce(servers.kafka_bootstrap_servers, topic, records(20), partitions=1)
        await apply_all(servers.kafka_bootstrap_servers, database_url, topic)

    asyncio.run(prepare())
    console = Console(tmp_path, monkeypatch)
    monkeypatch.setenv("WEX_KAFKA_BOOTSTRAP_SERVERS", servers.kafka_bootstrap_servers)
    monkeypatch.setenv("WEX_DATABASE_URL", database_url)
    monkeypatch.setenv("WEX_TOPICS", topic)

    def type_block(example: Example) -> None:
        for command, shown in commands(example.parsed):
            said = console.run(command).replace(topic, "workflow-executions")
            assert SIZE.sub("<size>", steady(said)) == SIZE.sub("<size>", steady(shown)), f"$ {command}"

    examples = list(Sybil([CodeBlockParser("console", type_block)]).parse(ROOT / "docs" / "replay.md").examples())
    assert len(examples) == 1
    for example in examples:
        example.evaluate()


def test_every_column_is_described() -> None:
    """The table of columns names those of the files."""
    from consumer.archive.parquet import SCHEMA

    described = [name.strip("` ") for row in table("docs/replay.md", "column") for name in row[0].split(",")]
    assert described == SCHEMA.names
