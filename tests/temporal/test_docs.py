"""The code on the pages about publishing and Temporal runs as it stands there."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client

from consumer.local.temporal import TemporalServer
from events import Status
from events.publisher import ExecutionPublisher
from tests.publisher.reading import events
from tests.stack import Servers
from tests.temporal import server

DOCS = Path(__file__).parents[2] / "docs"


def snippets(page: str) -> list[str]:
    """The Python code on a page."""
    return re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """An empty module that a snippet can become; workflows are imported again by name in their sandbox."""
    name = f"snippet_{uuid4().hex[:8]}"
    monkeypatch.syspath_prepend(tmp_path)
    made = types.ModuleType(name)
    made.__file__ = str(tmp_path / f"{name}.py")
    monkeypatch.setitem(sys.modules, name, made)
    return made


def become(module: types.ModuleType, code: str) -> None:
    assert module.__file__ is not None
    Path(module.__file__).write_text(code, encoding="utf-8")
    exec(compile(code, module.__file__, "exec"), module.__dict__)


async def test_publishing(
    servers: Servers, topic: str, module: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first example publishes a whole life and prints the position of its end."""
    become(module, snippets("publishing.md")[0])
    await module.main(servers.kafka_bootstrap_servers, topic)
    (row,) = server.rows(await events(servers.kafka_bootstrap_servers, topic)).values()
    assert (row.status, row.created_by, row.output) == (Status.COMPLETED, "ada", {"sum": "12.50"})
    assert capsys.readouterr().out.startswith(f"{topic}/")


async def test_worker_and_pass(
    servers: Servers,
    client: Client,
    temporal: TemporalServer,
    publisher: ExecutionPublisher,
    module: types.ModuleType,
) -> None:
    """The example of a worker tells the run it runs, and the example of a pass tells the same run."""
    worker, one_pass = snippets("temporal.md")
    become(module, worker)
    address, topic = temporal.address, publisher.topic
    greeting = await module.main(address, servers.kafka_bootstrap_servers, topic, f"queue-{uuid4().hex[:8]}")
    assert greeting == "hello ada"
    (description,) = await server.runs(client, "greet-ada")
    namespace: dict[str, object] = {}
    exec(one_pass, namespace)
    assert await namespace["one_pass"](client, publisher) is not None  # type: ignore[operator] # defined by the snippet
    found = [
        event
        for event in await events(servers.kafka_bootstrap_servers, topic)
        if event.data.temporal_workflow_id == "greet-ada"
    ]
    assert {str(event.data.authority) for event in found} == {"worker", "server"}
    (row,) = server.rows(found).values()
    assert (row.workflow_id, row.created_by, row.input, row.output) == ("greeting", "ada", "ada", "hello ada")
    server.assert_agrees(row, description)
