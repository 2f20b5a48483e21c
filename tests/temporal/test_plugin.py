"""The worker's half on a real server: what a worker says, and what it never gets in the way of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import Replayer, Worker
from temporalio.workflow import NondeterminismError

from events import Event, ExecutionRow, Status, Verb
from events.adapters.temporal import TemporalSync, WorkflowExecutionsPlugin
from events.position import Position
from events.publisher import ExecutionPublisher, PublishError
from tests.publisher.reading import events
from tests.stack import Servers
from tests.temporal import scenarios, server
from tests.temporal.workflows import WORKFLOWS, Fail, Parent, Succeed, Wait, greet


class Heard:
    """A publisher that remembers, and does at a verb what a test wants to happen just then."""

    def __init__(self, then: ExecutionPublisher | None = None) -> None:
        self.events: list[Event] = []
        self.at: dict[Verb, Callable[[], Any]] = {}
        self._then = then

    async def publish(self, event: Event) -> Position:
        self.events.append(event)
        position = await self._then.publish(event) if self._then else Position("heard", 0, len(self.events))
        if event.verb in self.at:
            await self.at[event.verb]()
        return position

    def verbs(self, workflow_id: str) -> list[str]:
        """What one workflow's runs said, in their order."""
        return [str(event.verb) for event in self.events if event.data.temporal_workflow_id == workflow_id]

    def rows(self) -> dict[str, ExecutionRow]:
        """The rows by workflow id, for workflows with one run."""
        return {row.temporal_workflow_id: row for row in server.rows(self.events).values()}


@pytest.fixture
def queue() -> str:
    return f"queue-{uuid4().hex[:8]}"


@pytest.fixture
def heard() -> Heard:
    return Heard()


def worker(client: Client, queue: str, publisher: Any, **options: Any) -> Worker:
    settings = {name: options.pop(name) for name in ("patience", "payloads") if name in options}
    plugin = WorkflowExecutionsPlugin(publisher, **settings)
    return Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=[greet], plugins=[plugin], **options)


SAID: dict[scenarios.Scenario, list[str]] = {
    scenarios.succeeded: ["started", "completed"],
    scenarios.failed: ["started", "failed"],
    scenarios.retried: ["started", "failed", "started", "completed"],
    scenarios.cancelled: ["started", "cancelled"],
    scenarios.continued_as_new: ["started", "continued_as_new", "started", "completed"],
    scenarios.delayed: ["started", "completed"],
    scenarios.terminated: ["started"],
    scenarios.timed_out: ["started"],
    scenarios.timed_out_in_the_queue: [],
    scenarios.never_picked_up: [],
    scenarios.left_running: ["started"],
}


@pytest.mark.parametrize("live", SAID, ids=lambda live: live.__name__)
async def test_worker_says_what_it_can_see(client: Client, queue: str, heard: Heard, live: scenarios.Scenario) -> None:
    """A worker tells the start and the ends that it brings about itself, and none that the server decides."""
    async with worker(client, queue, heard):
        workflow_id = await live(client, queue)
        assert heard.verbs(workflow_id) == SAID[live]
    assert all(event.data.authority == "worker" and event.data.attempt == 1 for event in heard.events)
    assert len({event.id for event in heard.events}) == len(heard.events)


async def test_facts_of_a_run(client: Client, queue: str, heard: Heard) -> None:
    """Input, output, names and user are those that the sync will tell."""
    memo = {"workflow_id": "greeting", "workflow_name": "Greeting", "user_id": "ada"}
    async with worker(client, queue, heard):
        handle = await scenarios.start(client, queue, Succeed, "bob", 1, memo=memo)
        await scenarios.ended(handle)
    said = heard.rows()[handle.id]
    silent = Heard()
    await server.runs(client, handle.id)
    await TemporalSync(client, silent).run_once(None)
    told = silent.rows()[handle.id]
    assert (said.status, said.id) == (told.status, told.id)
    for name in ("workflow_id", "workflow_name", "created_by", "input", "output", "orchestrator", "parent", "root"):
        assert getattr(said, name) == getattr(told, name)
    assert (said.workflow_id, said.created_by, said.input) == ("greeting", "ada", ["bob", 1])


async def test_error_is_the_one_that_the_sync_will_tell(client: Client, queue: str, heard: Heard) -> None:
    """Message, type and retryability of an error are the same in both halves."""
    async with worker(client, queue, heard):
        handle = await scenarios.start(client, queue, Fail, 12.5)
        await scenarios.ended(handle)
    await server.runs(client, handle.id)
    told = Heard()
    await TemporalSync(client, told).run_once(None)
    said, known = heard.rows()[handle.id].error, told.rows()[handle.id].error
    assert (said["message"], said["type"], said["retryable"]) == ("no money: 12.5", "Broke", False)
    assert said["stack_trace"]
    assert {**said, "stack_trace": known["stack_trace"]} == known


async def test_family_is_known(client: Client, queue: str, heard: Heard) -> None:
    """A child names its parent and the root of the tree."""
    child = f"child-{uuid4().hex[:8]}"
    async with worker(client, queue, heard):
        handle = await scenarios.start(client, queue, Parent, child)
        await scenarios.ended(handle)
    shown = heard.rows()
    first, second, third = (shown[id_] for id_ in (handle.id, child, f"{child}-child"))
    assert (first.parent, first.root) == (None, None)
    assert (second.parent["id"], second.root["id"]) == (str(first.id), str(first.id))
    assert (third.parent["id"], third.root["id"]) == (str(second.id), str(first.id))


async def test_server_that_terminated_wins_over_worker_that_completed(
    servers: Servers, client: Client, publisher: ExecutionPublisher, queue: str
) -> None:
    """A run terminated while its worker claimed `completed` shows the claim until the sync, then the server's word."""
    heard = Heard(publisher)
    async with worker(client, queue, heard):
        handle = await scenarios.waiting(client, queue)
        heard.at[Verb.COMPLETED] = lambda: handle.terminate(reason="too late")
        await handle.signal(Wait.go_on)
        await scenarios.ended(handle)

    async def log() -> list[Event]:
        found = await events(servers.kafka_bootstrap_servers, publisher.topic)
        return [event for event in found if event.data.temporal_workflow_id == handle.id]

    (claimed,) = server.rows(await log()).values()
    assert (claimed.status, claimed.output) == (Status.COMPLETED, "told")
    (description,) = await server.runs(client, handle.id)
    await TemporalSync(client, publisher).run_once(None)
    (row,) = server.rows(await log()).values()
    assert (row.status, row.output, row.reason, row.contested) == (Status.TERMINATED, None, "too late", False)
    server.assert_agrees(row, description)
    assert any(event.verb == "completed" and event.data.output == '"told"' for event in await log())


async def test_late_request_to_cancel_does_not_change_the_end(client: Client, queue: str, heard: Heard) -> None:
    """A request to cancel that arrives while `completed` is being published leaves the run completed."""
    async with worker(client, queue, heard):
        handle = await scenarios.waiting(client, queue, task_timeout=timedelta(seconds=1))

        async def cancel() -> None:
            await handle.cancel()
            # The request reaches the run when its task has lasted so long that the worker asks for another.
            await scenarios.happened(handle, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED)

        heard.at[Verb.COMPLETED] = cancel
        await handle.signal(Wait.go_on)
        assert await handle.result() == "told"
    assert heard.verbs(handle.id) == ["started", "completed"]


async def test_replaying_says_nothing_twice(client: Client, queue: str, heard: Heard) -> None:
    """A worker that forgets every run after every task replays all of it, and says everything once."""
    async with worker(client, queue, heard, max_cached_workflows=0):
        handle = await scenarios.start(client, queue, Succeed, "ada", 3)
        await scenarios.ended(handle)
    assert heard.verbs(handle.id) == ["started", "completed"]
    replayer = Replayer(workflows=WORKFLOWS, plugins=[WorkflowExecutionsPlugin(heard)])
    await replayer.replay_workflow(await handle.fetch_history())
    assert heard.verbs(handle.id) == ["started", "completed"]


async def test_run_older_than_the_plugin_goes_on_untold(client: Client, queue: str, heard: Heard) -> None:
    """A run that began on a worker without the plugin ends on one with it, and is left to the sync."""
    async with Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=[greet]):
        handle = await scenarios.waiting(client, queue)
    async with worker(client, queue, heard):
        await handle.signal(Wait.go_on)
        assert await handle.result() == "told"
    assert heard.verbs(handle.id) == []


async def test_broker_that_is_down_costs_one_patience(client: Client, queue: str) -> None:
    """When Kafka hangs, a run waits for its patience and goes on; the next one does not wait at all."""
    asked: list[Verb] = []

    class Hanging:
        async def publish(self, event: Event) -> Position:
            asked.append(event.verb)
            await asyncio.Event().wait()
            raise AssertionError

    async with asyncio.timeout(20), worker(client, queue, Hanging(), patience=timedelta(seconds=0.5)):
        for _ in range(2):
            handle = await scenarios.start(client, queue, Succeed, "ada", 1)
            assert (await handle.result())["greeting"] == "hello ada"
    assert asked == [Verb.STARTED]


async def test_publisher_that_fails_is_asked_again_and_then_given_up(client: Client, queue: str) -> None:
    """An event that Kafka refuses is tried a few times; the workflow ends as it would have without it."""
    asked: list[Verb] = []

    class Failing:
        async def publish(self, event: Event) -> Position:
            asked.append(event.verb)
            raise PublishError.of(event, "executions", "no")

    async with asyncio.timeout(20), worker(client, queue, Failing()):
        handle = await scenarios.start(client, queue, Succeed, "ada", 1)
        assert (await handle.result())["greeting"] == "hello ada"
    assert asked.count(Verb.STARTED) == 3
    assert asked.count(Verb.COMPLETED) == 3


async def test_payloads_can_stay_at_home(client: Client, queue: str, heard: Heard) -> None:
    """Without payloads a worker tells the life of a run and nothing of what it worked on."""
    async with worker(client, queue, heard, payloads=False):
        handle = await scenarios.start(client, queue, Succeed, "ada", 1)
        await scenarios.ended(handle)
    row = heard.rows()[handle.id]
    assert (row.status, row.input, row.output) == (Status.COMPLETED, None, None)


async def test_payload_that_the_contract_cannot_hold_is_a_marker(client: Client, queue: str, heard: Heard) -> None:
    """What PostgreSQL cannot hold is replaced by a marker; the run is told all the same."""
    async with worker(client, queue, heard):
        handle = await scenarios.start(client, queue, Succeed, "nul \x00", 1)
        await scenarios.ended(handle)
    row = heard.rows()[handle.id]
    assert row.status is Status.COMPLETED
    assert (row.input[0]["$withheld"], row.input[1]) == ("nul_character", 1)
    assert row.output["$withheld"] == "nul_character"


async def test_run_that_began_with_the_plugin_needs_it(client: Client, queue: str, heard: Heard) -> None:
    """Without the plugin a worker cannot replay a run that began with it, as the documentation warns."""
    async with worker(client, queue, heard):
        handle = await scenarios.start(client, queue, Succeed, "ada", 1)
        await scenarios.ended(handle)
    with pytest.raises(NondeterminismError):
        await Replayer(workflows=WORKFLOWS).replay_workflow(await handle.fetch_history())
