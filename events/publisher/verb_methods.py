"""What the methods of all verbs share.

Every method publishes one event and returns its position once Kafka has acknowledged it. Beside what its verb carries
it takes:

- `attempt`: how often this same run was opened; 1 unless the orchestrator reopens runs.
- `authority`: who says so: `inferred`, `worker`, `server` or `operator`.
- `time`: when it happened, with an offset; now if None.
- `event_id`: unique within the source; a random UUID if None. State it to make a repetition recognisable.
- `fields`: any other field of the contract (docs/publishing.md).

A field that is None is not stated. All methods raise PublishError, its subclass RefusedEventError where the contract
refuses the event (nothing was sent), and TypeError for a field that the contract does not know.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from ..identity import RunRef
from ..models import ErrorInfo, RunReference
from ..position import Position
from ..vocabulary import Verb

AnyError = str | Mapping[str, object] | BaseException | ErrorInfo
AnyRun = RunRef | RunReference | Mapping[str, str]


class Said(NamedTuple):
    """Who said it, when, and of which attempt."""

    attempt: int
    authority: str
    time: datetime | None
    event_id: str | None


class VerbMethods(ABC):
    """Turns a verb and its fields into an event and publishes it."""

    @abstractmethod
    async def _say(self, verb: Verb, run: RunRef, fields: Mapping[str, object], said: Said) -> Position:
        """Publish one event of a run; fields that are None are not stated."""
