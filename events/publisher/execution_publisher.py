"""The publisher: builds events, refuses what the contract refuses, and answers with positions."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from aiokafka.errors import KafkaError

from .. import limits
from ..codec import CONTENT_TYPE, encode, validate
from ..errors import InvalidEvent
from ..identity import RunKey, RunRef
from ..models import Event, ExecutionData
from ..position import Position
from ..vocabulary import Verb
from .delivery import Delivery
from .endings import Endings
from .error_info import error_info
from .errors import PublishError, RefusedEventError, TopicError
from .security import problem_with, refuse_plaintext, stated
from .steps import Steps
from .topics import PARTITIONS, TIMEOUT_SECONDS, ensure_topics
from .verb_methods import Said

DEFAULT_TOPIC = "workflow-executions"
HEADERS = [("content-type", CONTENT_TYPE.encode())]

_SAID_ELSEWHERE = frozenset(RunRef.__dataclass_fields__) | set(Said._fields)
_FIELDS = frozenset(ExecutionData.model_fields) - _SAID_ELSEWHERE


class ExecutionPublisher(Steps, Endings):
    """Publishes lifecycle events; one instance serves a whole process, from as many tasks as you like.

        async with ExecutionPublisher(bootstrap_servers="localhost:9092", source="/billing") as publisher:
            position = await publisher.completed(run, output={"invoice": 42})

    Args:
        bootstrap_servers: host:port of Kafka brokers.
        topic: where the events go; made when it is missing.
        source: who publishes, as a URI reference such as `/billing/worker-3`; an event is known by source and id.
        partitions: of a topic that has to be made.
        create_topic: False where this client may not list or make topics.
        timeout_seconds: how long to wait for Kafka, at the start and for each event.
        client_options: `security_protocol`, `ssl_context`, `sasl_…` as aiokafka spells them, or as
            `KafkaSecurity(…).client_options()` makes them; where no `security_protocol` is stated, plaintext, on this
            machine only.
        now: tells the time of events whose caller does not.
        new_id: makes the ids of events whose caller does not.
    """

    def __init__(
        self,
        *,
        bootstrap_servers: str | Sequence[str],
        topic: str = DEFAULT_TOPIC,
        source: str,
        partitions: int = PARTITIONS,
        create_topic: bool = True,
        timeout_seconds: float = TIMEOUT_SECONDS,
        client_options: Mapping[str, Any] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self.topic = topic
        self.source = source
        self._servers = bootstrap_servers
        self._partitions = partitions
        self._create_topic = create_topic
        self._timeout_seconds = timeout_seconds
        self._client_options = stated(client_options)
        self._now = now
        self._new_id = new_id
        self._delivery: Delivery | None = None

    async def __aenter__(self) -> Self:
        """Connect, and make the topic when it is missing.

        Raises:
            PublishError: Kafka does not answer in time, or refuses.
        """
        delivery = Delivery(self._servers, self._timeout_seconds, self._client_options)
        try:
            refuse_plaintext(self._servers, self._client_options)
            if self._create_topic:
                await self._ensure_topic()
            await delivery.start()
        except TopicError as error:
            raise self._not_started(str(error), denied=error.denied) from error
        except (KafkaError, OSError) as error:
            problem = await problem_with(self._servers, self._client_options, timeout_seconds=self._timeout_seconds)
            said, denied = (problem.message, problem.denied) if problem else (str(error), False)
            raise self._not_started(said, denied=denied) from error
        self._delivery = delivery
        return self

    def _not_started(self, why: str, *, denied: bool) -> PublishError:
        error = PublishError(f"cannot publish to {self.topic}: {why}", topic=self.topic)
        error.denied = denied
        return error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Deliver what is under way, for a bounded time, and disconnect."""
        delivery, self._delivery = self._delivery, None
        if delivery is not None:
            await delivery.stop()

    async def publish(self, event: Event) -> Position:
        """Publish an event as it is, and return where it lies once Kafka has acknowledged it.

        Raises:
            PublishError: Kafka did not acknowledge it in time; it may have arrived all the same, and publishing it
                again does no harm.
            RefusedEventError: it is too large or has no JSON form; nothing was sent.
        """
        key = str(event.execution_id)
        if event.subject is None:
            event = event.model_copy(update={"subject": key})
        value = self._encoded(event)
        if self._delivery is None:
            raise PublishError.of(
                event, self.topic, "the publisher is not open; use `async with ExecutionPublisher(…)`"
            )
        try:
            return await self._delivery.send(self.topic, key.encode(), value, HEADERS)
        except (KafkaError, OSError) as error:
            raise PublishError.of(event, self.topic, f"{type(error).__name__}: {error}") from error

    async def _say(self, verb: Verb, run: RunRef, fields: Mapping[str, object], said: Said) -> Position:
        for name in fields:
            if name not in _FIELDS:
                raise _unknown(verb, name)
        return await self.publish(self._event(verb, run, fields, said))

    def _event(self, verb: Verb, run: RunRef, fields: Mapping[str, object], said: Said) -> Event:
        """Build the event; only what the caller states goes into it, so that silence never outbids a value."""
        event_id = said.event_id or self._new_id()
        stated = {name: _plain(name, value) for name, value in fields.items() if value is not None}
        data = {**dataclasses.asdict(run), "attempt": said.attempt, "authority": said.authority, **stated}
        envelope = {"id": event_id, "source": self.source, "verb": verb, "time": said.time or self._now()}
        try:
            return validate({**envelope, "subject": str(run.id), "data": data})
        except InvalidEvent as refusal:
            raise self._refused(refusal, verb, event_id, run.key) from None

    def _encoded(self, event: Event) -> bytes:
        try:
            value = encode(event)
            if len(value) > limits.RECORD_BYTES_MAX:
                raise InvalidEvent("too_large", detail=f"{len(value)} bytes, at most {limits.RECORD_BYTES_MAX}")
        except (TypeError, ValueError) as error:  # what orjson and pydantic call a value without a JSON form
            raise self._refused(
                InvalidEvent("not_json", "data", str(error)), event.verb, event.id, event.data.run
            ) from error
        except InvalidEvent as invalid:
            raise self._refused(invalid, event.verb, event.id, event.data.run) from None
        return value

    def _refused(self, refusal: InvalidEvent, verb: Verb, event_id: str, run: RunKey) -> RefusedEventError:
        return RefusedEventError(refusal, topic=self.topic, verb=verb, event_id=event_id, execution_id=run.id)

    async def _ensure_topic(self) -> None:
        await ensure_topics(
            self._servers,
            [self.topic],
            partitions=self._partitions,
            timeout_seconds=self._timeout_seconds,
            client_options=self._client_options,
        )


def _plain(name: str, value: object) -> object:
    """Return a field in a form that the contract knows."""
    if name == "error":
        return error_info(value)
    return value.key._asdict() if isinstance(value, RunRef) else value


def _unknown(verb: Verb, name: str) -> TypeError:
    close = difflib.get_close_matches(name, _FIELDS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"an event knows {', '.join(sorted(_FIELDS))}"
    return TypeError(f"{verb}() got an unexpected keyword argument {name!r}; {hint}")
