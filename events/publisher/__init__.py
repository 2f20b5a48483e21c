"""Publishing lifecycle events to Kafka: a typed method per verb, answered with the event's position in the log."""

from __future__ import annotations

from ..position import Position
from .errors import PublishError, RefusedEventError, TopicError
from .execution_publisher import ExecutionPublisher
from .security import KafkaSecurity
from .topics import ensure_topics

__all__ = [
    "ExecutionPublisher",
    "KafkaSecurity",
    "Position",
    "PublishError",
    "RefusedEventError",
    "TopicError",
    "ensure_topics",
]
