"""The errors of publishing."""

from __future__ import annotations

from uuid import UUID

from ..errors import EventError, InvalidEvent
from ..models import Event


class TopicError(EventError):
    """A topic cannot be found or made; the message names the servers, the topic and the remedy.

    Attributes:
        denied: Kafka answers, but one side does not accept the other; waiting does not help.
    """

    def __init__(self, message: str, *, denied: bool = False) -> None:
        super().__init__(message)
        self.denied = denied


class PublishError(EventError):
    """An event was not published, or nobody can say whether it was.

    Publishing the same event again is always safe: what arrives twice is applied once.

    Attributes:
        topic: where it was to go.
        verb: what it said; empty where the publisher could not even start.
        event_id: the event's id.
        execution_id: the id of the execution it speaks of; None where the publisher could not even start.
        denied: Kafka answers, but one side does not accept the other; waiting does not help.
    """

    denied = False

    def __init__(
        self, message: str, *, topic: str, verb: str = "", event_id: str = "", execution_id: UUID | None = None
    ) -> None:
        Exception.__init__(self, message)
        self.topic = topic
        self.verb = verb
        self.event_id = event_id
        self.execution_id = execution_id

    @classmethod
    def of(cls, event: Event, topic: str, why: str) -> PublishError:
        """Return the error for an event that was not acknowledged."""
        what = f"`{event.verb}` (event {event.id}, execution {event.execution_id}, topic {topic})"
        return cls(
            f"{what} was not acknowledged: {why}",
            topic=topic,
            verb=event.verb,
            event_id=event.id,
            execution_id=event.execution_id,
        )


class RefusedEventError(PublishError, InvalidEvent):
    """The contract refuses the event, so nothing was sent; `field` says what to mend and `reason` why."""

    def __init__(
        self, refusal: InvalidEvent, *, topic: str, verb: str, event_id: str, execution_id: UUID | None
    ) -> None:
        what = f"`{verb}` (event {event_id}, execution {execution_id}, topic {topic})"
        PublishError.__init__(
            self,
            f"{what} was refused: {refusal}",
            topic=topic,
            verb=verb,
            event_id=event_id,
            execution_id=execution_id,
        )
        self.reason = refusal.reason
        self.field = refusal.field
        self.detail = refusal.detail
