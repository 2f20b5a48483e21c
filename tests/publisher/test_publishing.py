"""The publisher against a real broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.partitioner import murmur2
from aiokafka.producer.sender import SendProduceReqHandler
from aiokafka.protocol.produce import ProduceRequest

from events import Event, RunRef, Status, decode, fold, row
from events.models import ErrorInfo
from events.publisher import ExecutionPublisher, Position, PublishError, RefusedEventError, ensure_topics
from events.publisher.delivery import partition_of
from events.vocabulary import Verb
from tests.consuming import until
from tests.lives import event
from tests.publisher.reading import events, records
from tests.stack import Servers

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = RunRef("invoice", "invoice-42", "run-1")


@pytest.fixture
async def publisher(servers: Servers, topic: str) -> AsyncIterator[ExecutionPublisher]:
    async with ExecutionPublisher(
        bootstrap_servers=servers.kafka_bootstrap_servers, topic=topic, source="/tests", now=lambda: NOON
    ) as opened:
        yield opened


@pytest.mark.parametrize(
    ("key", "hash_"),
    [("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536), ("abc", 479470107)],
)
def test_hash_is_java_s(key: str, hash_: int) -> None:
    """The hash of a key is the one that Java's client computes, so that both choose the same partition."""
    assert murmur2(key.encode()) == hash_ & 0xFFFFFFFF
    assert partition_of(key.encode(), [3, 0, 2, 1], []) == (hash_ & 0x7FFFFFFF) % 4


async def test_positions_are_where_the_records_lie(servers: Servers, topic: str, publisher: ExecutionPublisher) -> None:
    """A position names the record: its partition is the one of the key's hash, its key is the execution's id."""
    runs = [RunRef("invoice", "invoice-42", f"run-{number}") for number in range(40)]
    positions = await asyncio.gather(*(publisher.started(run) for run in runs))
    by_position = {
        Position(record.topic, record.partition, record.offset): record
        for record in await records(servers.kafka_bootstrap_servers, topic)
    }
    assert len(by_position) == len(runs)
    assert len({position.partition for position in positions}) == 8
    for run, position in zip(runs, positions, strict=True):
        key = str(run.id).encode()
        assert by_position[position].key == key
        assert position.partition == (murmur2(key) & 0x7FFFFFFF) % 8


async def test_record_is_structured_cloudevents_json(
    servers: Servers, topic: str, publisher: ExecutionPublisher
) -> None:
    """A record says in its header that it is a structured CloudEvent, and its value decodes to what was said."""
    await publisher.completed(RUN, output={"sum": 12.5}, duration_ms=1500, activities_executed=3, event_id="e1")
    (record,) = await records(servers.kafka_bootstrap_servers, topic)
    assert record.headers == (("content-type", b"application/cloudevents+json"),)
    said = decode(record.value)
    assert isinstance(said, Event)
    assert (said.id, said.source, said.subject, said.time) == ("e1", "/tests", str(RUN.id), NOON)
    assert said.verb is Verb.COMPLETED
    assert (said.data.output, said.data.duration_ms, said.data.activities_executed) == ('{"sum":12.5}', 1500, 3)
    assert said.data.states("attempt")
    assert not said.data.states("completed_at")
    assert not said.data.states("orchestrator")


async def test_every_verb_has_a_method(servers: Servers, topic: str, publisher: ExecutionPublisher) -> None:
    """Each verb of the contract is a method, and its event comes back from the topic."""
    for verb in Verb:
        await getattr(publisher, verb)(RUN, labels={"team": "billing"}, user_id="ada")
    found = await events(servers.kafka_bootstrap_servers, topic)
    assert {said.verb for said in found} == set(Verb)
    assert all(said.data.user_id == "ada" for said in found)
    assert len({said.id for said in found}) == len(Verb)


async def test_whole_life_folds_to_its_row(servers: Servers, topic: str, publisher: ExecutionPublisher) -> None:
    """What is published in the words of the methods comes out as the columns of the row."""
    parent = RunRef("billing", "billing-1", "run-0")
    await publisher.started(RUN, input=[1], workflow_name="Invoice", parent=parent, root=parent, time=NOON)
    await publisher.heartbeat(RUN, progress={"done": 1, "total": 4}, activities_executed=1)
    await publisher.failed(RUN, error="no such customer", time=NOON.replace(minute=1))
    shown = row(fold(await events(servers.kafka_bootstrap_servers, topic)))
    assert (shown.status, shown.duration_ms, shown.error) == (Status.FAILED, 60_000, {"message": "no such customer"})
    assert (shown.input, shown.workflow_name, shown.parent["id"]) == ([1], "Invoice", str(parent.id))
    assert (shown.progress, shown.activities_executed) == ({"done": 1, "total": 4}, 1)


def _raised() -> ValueError:
    try:
        msg = "bad \x00 sum \ud800"
        raise ValueError(msg)
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    ("error", "message", "type_"),
    [
        ("no money", "no money", None),
        ({"message": "no money", "code": "E7"}, "no money", None),
        (ErrorInfo(message="no money", type="Broke"), "no money", "Broke"),
        (_raised(), "bad \\x00 sum \\ud800", "ValueError"),
    ],
)
async def test_error_can_be_said_in_many_forms(  # one per form
    servers: Servers, topic: str, publisher: ExecutionPublisher, error: object, message: str, type_: str | None
) -> None:
    """An error is a sentence, a dict, the contract's own form, or an exception with its trace."""
    await publisher.failed(RUN, error=error)  # type: ignore[arg-type] # parametrized over every form
    (said,) = await events(servers.kafka_bootstrap_servers, topic)
    assert isinstance(said.data.error, ErrorInfo)
    assert (said.data.error.message, said.data.error.type) == (message, type_)
    assert (said.data.error.stack_trace is not None) == isinstance(error, Exception)


async def test_event_is_published_as_it_is(servers: Servers, topic: str, publisher: ExecutionPublisher) -> None:
    """A ready event goes out unchanged, but for the subject that names its execution."""
    said = event("started", 3, event_id="e7", input=1)
    await publisher.publish(said)
    (found,) = await events(servers.kafka_bootstrap_servers, topic)
    assert found == said.model_copy(update={"subject": str(said.execution_id)})


async def test_thousand_at_once_share_requests(publisher: ExecutionPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand publishes at once travel in a handful of requests, and take about a second."""
    requests: list[ProduceRequest] = []
    made = SendProduceReqHandler.create_request

    def counted(handler: SendProduceReqHandler) -> ProduceRequest:
        requests.append(made(handler))
        return requests[-1]

    monkeypatch.setattr(SendProduceReqHandler, "create_request", counted)
    runs = [RunRef("invoice", "invoice-42", f"run-{number}") for number in range(1000)]
    began = time.perf_counter()
    positions = await asyncio.gather(*(publisher.started(run, input="x" * 200) for run in runs))
    assert time.perf_counter() - began < 3  # measured: 0.12 s
    assert len(requests) <= 5
    assert len(set(positions)) == 1000


@pytest.mark.parametrize(
    ("verb", "fields", "field", "reason"),
    [
        ("started", {"time": datetime(2026, 1, 1)}, "time", "naive_time"),  # noqa: DTZ001 - the fault under test
        ("completed", {"duration_ms": -1}, "data.duration_ms", "greater_than_equal"),
        ("completed", {"authority": "operator"}, "data.completed_at", "completed_at_not_stated"),
        ("completed", {"output": {"a set": {1}, "key": {2: object()}}}, "data.output", "not_json"),
        ("started", {"revises": True}, "data.revises", "revises_needs_server"),
        ("failed", {"error": {"type": "no message"}}, "data.error.message", "missing"),
        ("failed", {"error": 7}, "data.error", "model_type"),
        ("failed", {"error": "half \ud800"}, "data", "not_json"),
        ("completed", {"output": "x" * 1_048_576}, "", "too_large"),
    ],
)
async def test_refused_event_names_the_field(
    servers: Servers,
    topic: str,
    publisher: ExecutionPublisher,
    verb: str,
    fields: dict[str, object],
    field: str,
    reason: str,
) -> None:
    """What the contract refuses is refused with field and reason, and nothing is sent."""
    with pytest.raises(RefusedEventError) as caught:
        await getattr(publisher, verb)(RUN, event_id="e1", **fields)
    assert (caught.value.field, caught.value.reason) == (field, reason)
    assert (caught.value.verb, caught.value.event_id, caught.value.execution_id) == (verb, "e1", RUN.id)
    assert all(part in str(caught.value) for part in (verb, "e1", str(RUN.id), topic, reason, field))
    assert await records(servers.kafka_bootstrap_servers, topic) == []


async def test_unknown_field_is_a_type_error(publisher: ExecutionPublisher) -> None:
    """A misspelt field is named, with the field that was probably meant."""
    with pytest.raises(TypeError, match=r"completed\(\) got .* 'durationms'; did you mean duration_ms\?"):
        await publisher.completed(RUN, durationms=7)


async def test_refusal_of_the_broker_does_not_stop_the_next_event(servers: Servers, topic: str) -> None:
    """An event that the topic does not take fails alone: the next one is delivered."""
    await _make(servers, NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "2000"}))
    async with ExecutionPublisher(
        bootstrap_servers=servers.kafka_bootstrap_servers, topic=topic, source="/tests"
    ) as publisher:
        assert await publisher.started(RUN) == Position(topic, 0, 0)
        with pytest.raises(PublishError, match=rf"`completed` \(event e1, execution {RUN.id}, topic {topic}\)"):
            await publisher.completed(RUN, output="x" * 5000, event_id="e1")
        assert await publisher.completed(RUN) == Position(topic, 0, 1)
        assert await publisher.completed(RUN) == Position(topic, 0, 2)


async def test_topic_that_vanished_is_an_error(servers: Servers, topic: str) -> None:
    """Without the right to make topics, a missing topic is an error within the time allowed."""
    async with ExecutionPublisher(
        bootstrap_servers=servers.kafka_bootstrap_servers,
        topic=topic,
        source="/tests",
        create_topic=False,
        timeout_seconds=0.5,
    ) as publisher:
        with pytest.raises(PublishError, match=topic) as caught:
            await publisher.started(RUN)
    assert isinstance(caught.value.execution_id, UUID)


async def test_publisher_that_is_not_open_says_so(topic: str) -> None:
    """Publishing outside of `async with` is an error that says how to open the publisher."""
    publisher = ExecutionPublisher(bootstrap_servers="127.0.0.1:1", topic=topic, source="/tests")
    with pytest.raises(PublishError, match="async with"):
        await publisher.started(RUN)


async def test_topic_is_made_once(servers: Servers, topic: str) -> None:
    """A missing topic is made with the partitions asked for, and an existing one is left alone."""
    wanted = [topic, f"{topic}-2"]
    assert await ensure_topics(servers.kafka_bootstrap_servers, wanted[:1], partitions=3) == wanted[:1]
    assert await ensure_topics(servers.kafka_bootstrap_servers, wanted, partitions=5) == wanted[1:]
    assert await ensure_topics(servers.kafka_bootstrap_servers, wanted) == []
    assert await _partitions(servers, wanted) == {topic: 3, f"{topic}-2": 5}


async def test_two_publishers_may_make_the_topic_together(servers: Servers, topic: str) -> None:
    """Publishers that start at once agree on one topic."""
    made = await asyncio.gather(*(ensure_topics(servers.kafka_bootstrap_servers, [topic]) for _ in range(3)))
    assert sorted(made) == [[], [], [topic]]


async def test_compacted_topic_is_warned_of(servers: Servers, topic: str, caplog: pytest.LogCaptureFixture) -> None:
    """A compacted topic would lose events, and the log says so."""
    await _make(servers, NewTopic(topic, 1, 1, topic_configs={"cleanup.policy": "compact"}))
    await ensure_topics(servers.kafka_bootstrap_servers, [topic])
    assert f"topic {topic} is compacted" in caplog.text


async def _is_listed(admin: AIOKafkaAdminClient, name: str) -> bool:
    return name in await admin.list_topics()


async def _make(servers: Servers, topic: NewTopic) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka_bootstrap_servers)
    await admin.start()
    try:
        response = await admin.create_topics([topic])
        assert [code for _, code, *_ in response.topic_errors] == [0]
        await until(lambda: _is_listed(admin, topic.name), "the brokers know the topic")
    finally:
        await admin.close()


async def _partitions(servers: Servers, topics: list[str]) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka_bootstrap_servers)
    await admin.start()
    try:
        return {found["topic"]: len(found["partitions"]) for found in await admin.describe_topics(topics)}
    finally:
        await admin.close()
