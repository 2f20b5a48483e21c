"""The server's half against a real server: every way to live and to end."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.service import RPCError
from temporalio.worker import Worker

from events import Event, ExecutionRow, execution_id
from events.adapters.temporal import SyncReport, TemporalSync, history_events
from events.publisher import ExecutionPublisher
from tests.publisher.reading import events
from tests.stack import Servers
from tests.temporal import scenarios, server
from tests.temporal.scenarios import LIVES, Scenario
from tests.temporal.workflows import WORKFLOWS, Fail, Succeed, greet


class Pass:
    """One pass over what this test has started, and what it has published."""

    def __init__(self, servers: Servers, client: Client, publisher: ExecutionPublisher) -> None:
        self._servers = servers
        self._client = client
        self._publisher = publisher
        self._began = datetime.now(UTC)

    async def run(self, ids: Mapping[str, int], client: Client | None = None, **options: Any) -> SyncReport:
        """Run it once visibility shows these workflows with so many runs each."""
        for workflow_id, count in ids.items():
            await server.runs(self._client, workflow_id, count)
        sync = TemporalSync(client or self._client, self._publisher, overlap=timedelta(0), **options)
        return await sync.run_once(self._began)

    async def events(self) -> list[Event]:
        """Everything that was published."""
        return await events(self._servers.kafka_bootstrap_servers, self._publisher.topic)

    async def rows(self) -> dict[str, list[ExecutionRow]]:
        """The rows by workflow id, each in the order in which the runs were created."""
        shown = sorted(server.rows(await self.events()).values(), key=lambda row: row.created_at)
        ids = {row.temporal_workflow_id for row in shown}
        return {id_: [row for row in shown if row.temporal_workflow_id == id_] for id_ in ids}


@pytest.fixture
def sync(servers: Servers, client: Client, publisher: ExecutionPublisher) -> Pass:
    return Pass(servers, client, publisher)


def worker(client: Client, queue: str) -> Worker:
    return Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=[greet])


@pytest.fixture
def queue() -> str:
    return f"queue-{uuid4().hex[:8]}"


@pytest.mark.parametrize("live", LIVES, ids=lambda live: live.__name__)
async def test_rows_agree_with_the_server(client: Client, sync: Pass, queue: str, live: Scenario) -> None:
    """After a sync every run of a life has the status, start, end and duration that the server shows."""
    async with worker(client, queue):
        workflow_id = await live(client, queue)
        await sync.run({workflow_id: len(LIVES[live])})
        described = await server.runs(client, workflow_id, len(LIVES[live]))
        shown = (await sync.rows())[workflow_id]
        assert [str(row.status) for row in shown] == LIVES[live]
        for row, description in zip(shown, described, strict=True):
            server.assert_agrees(row, description)
            assert not row.contested
            _assert_grows(description, await server.history(client, description))


def _assert_grows(description: DescribeWorkflowExecutionResponse, history: Sequence[HistoryEvent]) -> None:
    """What a part of a history tells is told again, word for word, by the whole."""
    whole = history_events(description, history)
    copied = max((e.event_id for e in history if e.workflow_task_failed_event_attributes.new_run_id), default=0)
    for length in range(copied + 1, len(history)):
        part = history_events(description, history[:length])
        assert part == whole[: len(part)]


async def test_facts_of_a_run(client: Client, sync: Pass, queue: str) -> None:
    """Input, output, names and user come from the history: the memo says what Temporal does not know."""
    memo = {"workflow_id": "greeting", "workflow_name": "Greeting", "user_id": "ada"}
    async with worker(client, queue):
        handle = await scenarios.start(client, queue, Succeed, "bob", 1, memo=memo)
        await scenarios.ended(handle)
        await sync.run({handle.id: 1})
    (row,) = (await sync.rows())[handle.id]
    assert (row.workflow_id, row.workflow_name, row.created_by) == ("greeting", "Greeting", "ada")
    assert (row.input, row.output) == (["bob", 1], {"greeting": "hello bob", "times": "1"})
    assert (row.orchestrator, row.namespace, row.attempt) == ("temporal", "default", 1)
    assert row.id == execution_id("default", handle.id, handle.first_execution_run_id or "")


async def test_why_and_by_whom(client: Client, sync: Pass, queue: str) -> None:
    """Rows say why a run failed, was stopped, held or reset, who asked for it, and which run follows."""
    async with worker(client, queue):
        ids = await asyncio.gather(*(live(client, queue) for live in LIVES))
        await sync.run(dict(zip(ids, map(len, LIVES.values()), strict=True)))
    by_id = await sync.rows()
    seen = {live.__name__: by_id[id_] for live, id_ in zip(LIVES, ids, strict=True)}
    error = seen["failed"][0].error
    assert (error["message"], error["type"], error["retryable"]) == ("no money: 12.5", "Broke", False)
    assert "tests/temporal/workflows.py" in error["stack_trace"]
    assert seen["retried"][0].error["retryable"] is True
    assert seen["cancelled"][0].actor == client.identity
    assert seen["cancelled"][0].cancel_requested_at is not None
    assert (seen["terminated"][0].reason, seen["terminated"][0].actor) == ("no longer wanted", client.identity)
    assert (seen["paused"][0].reason, seen["paused"][0].actor) == ("under repair", "ada")
    assert seen["reset"][0].reason == "bad deploy"
    for life in ("retried", "continued_as_new", "reset"):
        assert [row.next_run_id for row in seen[life]] == [seen[life][1].temporal_run_id, None]
    for life in ("delayed", "still_delayed"):
        (row,) = seen[life]
        assert row.scheduled_for is not None
        assert row.scheduled_for > row.created_at


async def test_timeouts_say_which_and_how_long(client: Client, sync: Pass, queue: str) -> None:
    """A run that timed out says whether its own deadline passed or that of the whole chain, and how long it was."""
    async with worker(client, queue):
        both = (scenarios.timed_out(client, queue), scenarios.timed_out_in_the_queue(client, queue))
        own, whole = await asyncio.gather(*both)
        await sync.run({own: 1, whole: 1})
    ends = {e.data.temporal_workflow_id: e.data for e in await sync.events() if e.verb == "timed_out"}
    assert (ends[own].timeout_kind, ends[own].timeout_ms) == ("run", 1000)
    assert (ends[whole].timeout_kind, ends[whole].timeout_ms) == ("execution", 1000)


async def test_family_is_known(client: Client, sync: Pass, queue: str) -> None:
    """A child names its parent and the root of the tree; a run without a parent names neither."""
    async with worker(client, queue):
        root = await scenarios.parent(client, queue)
        (description,) = await server.runs(client, root)
        child = _input(await server.history(client, description))
        await sync.run({root: 1, child: 1, f"{child}-child": 1})
    shown = await sync.rows()
    (first,), (second,), (third,) = (shown[id_] for id_ in (root, child, f"{child}-child"))
    assert (first.parent, first.root) == (None, None)
    assert (second.parent["id"], second.root["id"]) == (str(first.id), str(first.id))
    assert (third.parent["id"], third.root["id"]) == (str(second.id), str(first.id))


async def test_second_pass_changes_nothing(
    client: Client, publisher: ExecutionPublisher, sync: Pass, queue: str
) -> None:
    """Passes repeat what they have said, and the rows stay as they are; one sync remembers the runs that are over."""
    async with worker(client, queue):
        ids = [await scenarios.succeeded(client, queue), await scenarios.left_running(client, queue)]
        first = await sync.run(dict.fromkeys(ids, 1))
        before = await sync.rows()
        one = TemporalSync(client, publisher)
        again = await one.run_once(first.place)
        after = await sync.rows()
        assert {id_: after[id_] for id_ in ids} == {id_: before[id_] for id_ in ids}
        last = await one.run_once(first.place)
    assert again.place == last.place == first.place
    assert 1 <= last.runs < again.runs


async def test_pass_begins_at_its_place(client: Client, publisher: ExecutionPublisher, sync: Pass, queue: str) -> None:
    """A pass reads what closed since its place, less the overlap, and whatever is still open."""
    async with worker(client, queue):
        old = await scenarios.succeeded(client, queue)
        still = await scenarios.left_running(client, queue)
        (closed,) = await server.runs(client, old)
        place = server.utc(closed.workflow_execution_info.close_time) + timedelta(milliseconds=1)
        new = await scenarios.succeeded(client, queue)
        for workflow_id in (still, new):
            await server.runs(client, workflow_id)
        report = await TemporalSync(client, publisher, overlap=timedelta(0)).run_once(place)
        read = set(await sync.rows())
        assert old not in read
        assert {still, new} <= read
        assert report.place is not None
        assert report.place > place
        await TemporalSync(client, publisher, overlap=timedelta(seconds=1)).run_once(place)
        assert old in await sync.rows()


async def test_progress_is_told(client: Client, sync: Pass, queue: str) -> None:
    """After every run the progress is told; the last word is the report."""
    told: list[SyncReport] = []
    async with worker(client, queue):
        report = await sync.run({await scenarios.succeeded(client, queue): 1}, progress=told.append)
    assert told[-1] == report
    assert [step.runs for step in told] == list(range(1, report.runs + 1))


async def test_run_that_the_contract_refuses_harms_no_other(
    client: Client, sync: Pass, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A workflow id that is too long for the contract is named in the log and counted; the pass goes on."""
    async with worker(client, queue):
        long_id = f"long-{uuid4().hex}-{'x' * 500}"
        await scenarios.ended(await scenarios.start(client, queue, Succeed, "ada", 1, id=long_id))
        short_id = await scenarios.succeeded(client, queue)
        report = await sync.run({long_id: 1, short_id: 1})
    assert report.refused == 1
    assert f"of {long_id} cannot be published: too_long in data.temporal_workflow_id" in caplog.text
    assert short_id in await sync.rows()


class _Cipher(PayloadCodec):
    """Base64: as unreadable to the contract as a cipher."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        wrapped = [base64.b64encode(payload.SerializeToString()) for payload in payloads]
        return [Payload(metadata={"encoding": b"binary/secret"}, data=data) for data in wrapped]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload.FromString(base64.b64decode(payload.data))
            if payload.metadata["encoding"] == b"binary/secret"
            else payload
            for payload in payloads
        ]


@pytest.mark.parametrize(("sync_has_codec", "payloads"), [(True, True), (True, False), (False, True)])
async def test_encrypted_payloads(
    client: Client, sync: Pass, queue: str, *, sync_has_codec: bool, payloads: bool
) -> None:
    """Encrypted payloads are read where the codec is at hand, are markers where it is not, or are left out."""
    config = client.config()
    config["data_converter"] = DataConverter(payload_codec=_Cipher())
    secret = Client(**config)
    async with worker(secret, queue):
        good = await scenarios.start(secret, queue, Succeed, "ada", 1, memo={"user_id": "bob"})
        bad = await scenarios.start(secret, queue, Fail, 1.5)
        for handle in (good, bad):
            await scenarios.ended(handle)
        await sync.run({good.id: 1, bad.id: 1}, secret if sync_has_codec else client, payloads=payloads)
    shown = await sync.rows()
    (row,) = shown[good.id]
    if sync_has_codec:
        assert row.output == ({"greeting": "hello ada", "times": "1"} if payloads else None)
        assert row.created_by == "bob"
    else:
        assert row.output["$withheld"] == "not_json"
        assert row.created_by is None
    assert shown[bad.id][0].error_message == "no money: 1.5"


async def test_unknown_namespace_is_an_error(client: Client, publisher: ExecutionPublisher) -> None:
    """A pass over a namespace that does not exist fails with what the server said."""
    config = client.config()
    config["namespace"] = "nowhere"
    with pytest.raises(RPCError, match="nowhere"):
        await TemporalSync(Client(**config), publisher).run_once(None)


async def test_run_that_vanished_is_passed_over(client: Client, publisher: ExecutionPublisher) -> None:
    """A run that is deleted between the list and its history is none of the pass's business."""
    sync = TemporalSync(client, publisher)
    await sync._publish(WorkflowExecution(workflow_id="deleted", run_id=str(uuid4())))
    assert sync._report.runs == 0


def _input(history: Sequence[HistoryEvent]) -> str:
    text: str = json.loads(history[0].workflow_execution_started_event_attributes.input.payloads[0].data)
    return text
