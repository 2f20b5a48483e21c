"""The contract as pydantic models: the one source of validation, schema, documentation and examples.

An event is an envelope (CloudEvents 1.0) around `data`. Every event may carry every known field, so that a late
`completed` with `started_at` repairs a lost `started`; a field that is absent or null is not carried.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from . import limits
from .identity import DEFAULT_NAMESPACE, RunKey, execution_id
from .payload import JsonText, Withheld
from .vocabulary import VERBS, Authority, Verb

TYPE_PREFIX = "workflow.execution."
VERSION = 1
TYPE_SUFFIX = f".v{VERSION}"

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(?:\.([0-9]{1,9})[0-9]*)?"
    r"([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def type_of(verb: Verb) -> str:
    """Return the CloudEvents type of a verb."""
    return f"{TYPE_PREFIX}{verb}{TYPE_SUFFIX}"


def refuse(code: str, message: str) -> PydanticCustomError:
    """Return the error of a validator; its code becomes the reason of a dead letter."""
    return PydanticCustomError(code, message)


def _identifier(value: str) -> str:
    if "\x00" in value:
        raise refuse("nul_character", "must not contain NUL")
    if len(value.encode()) > limits.IDENTIFIER_BYTES_MAX:
        raise refuse("too_long", f"must be at most {limits.IDENTIFIER_BYTES_MAX} bytes of UTF-8")
    return value


def _sentences(value: str) -> str:
    if len(value.encode()) > limits.TEXT_BYTES_MAX:
        raise refuse("too_long", f"must be at most {limits.TEXT_BYTES_MAX} bytes of UTF-8")
    return value


def parse_time(value: object) -> datetime:
    """Return an instant in UTC, to the microsecond.

    Raises:
        PydanticCustomError: not RFC 3339 with an offset, or outside [2000, 2100).
    """
    if isinstance(value, str):
        value = _from_rfc3339(value)
    if not isinstance(value, datetime):
        raise refuse("not_a_time", "must be an RFC 3339 time with an offset")
    if value.utcoffset() is None:
        raise refuse("naive_time", "must say its offset from UTC")
    if not limits.TIME_MIN <= value < limits.TIME_MAX:
        raise refuse("time_out_of_range", "must lie in [2000, 2100)")
    return value.astimezone(UTC)


def _from_rfc3339(text: str) -> datetime:
    match = _RFC3339.fullmatch(text)
    if match is None:
        naive = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:]{8}(\.[0-9]+)?", text)
        code = "naive_time" if naive else "not_a_time"
        raise refuse(code, "must be an RFC 3339 time with an offset")
    day, clock, fraction, offset = match.groups()
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{offset.upper()}")
    except ValueError:
        raise refuse("not_a_time", "no such day in the calendar") from None


def _labels(value: dict[str, str]) -> dict[str, str]:
    if len(value) > limits.LABELS_MAX:
        raise refuse("too_many_labels", f"must have at most {limits.LABELS_MAX} labels")
    return dict(sorted(value.items()))


def _json_text(value: object) -> object:
    if value is None or isinstance(value, (JsonText, Withheld)):
        return value
    try:
        return JsonText.of(value)
    except TypeError as error:
        raise refuse("not_json", "must have a JSON form") from error


_TIME_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time"})

Identifier = Annotated[str, Field(min_length=1, max_length=limits.IDENTIFIER_BYTES_MAX), AfterValidator(_identifier)]
Instant = Annotated[datetime, BeforeValidator(parse_time), _TIME_SCHEMA]
Json = Annotated[JsonText | Withheld, BeforeValidator(_json_text), WithJsonSchema({})]
Text = Annotated[str, Field(max_length=limits.TEXT_BYTES_MAX), AfterValidator(_sentences)]
Labels = Annotated[dict[str, str], AfterValidator(_labels)]
Amount = Annotated[float | int, Field(ge=0, allow_inf_nan=False)]
Attempt = Annotated[int, Field(ge=1, le=limits.COUNT_MAX)]
Spoken = Annotated[Authority, Field(strict=False)]
Marker = InstanceOf[Withheld]  # made by the codec alone: an object of the same shape in a record is not one
Count = Annotated[int, Field(ge=0, le=limits.COUNT_MAX)]
DurationMs = Annotated[int, Field(ge=0, le=limits.DURATION_MS_MAX)]


class Part(BaseModel):
    """A part of an event: frozen, strict about types, deaf to fields it does not know."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="ignore", arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class ErrorInfo(Part):
    """What went wrong."""

    message: str = Field(description="one line for people")
    type: str | None = Field(None, description="class or kind of the error")
    code: str | None = Field(None, description="code of the error in its own system")
    stack_trace: str | None = Field(None, description="where it happened")
    retryable: bool | None = Field(None, description="whether another attempt can help")


class Progress(Part):
    """How far the work is."""

    done: Amount | None = Field(None, description="units done")
    total: Amount | None = Field(None, description="units in all")
    message: str | None = Field(None, description="one line for people")


class RunReference(Part):
    """Another run, such as the parent."""

    namespace: Identifier | None = Field(None, description="the event's own namespace where absent")
    temporal_workflow_id: Identifier
    temporal_run_id: Identifier


class ExecutionData(Part):
    """What an event says of its execution."""

    workflow_id: Identifier = Field(description="the workflow definition that ran")
    temporal_workflow_id: Identifier = Field(description="the orchestrator's id of the workflow; reused by later runs")
    temporal_run_id: Identifier = Field(description="the orchestrator's id of this run")
    namespace: Identifier = Field(DEFAULT_NAMESPACE, description="the orchestrator's namespace")
    orchestrator: Identifier = Field("temporal", description="what runs the workflow")
    attempt: Attempt = Field(1, description="how often this same run was opened")
    authority: Spoken = Field(Authority.WORKER, description="who says so")
    revises: bool = Field(
        default=False, description="with authority server: reopens or corrects without counting attempts"
    )
    user_id: Identifier | None = Field(None, description="who started it")
    workflow_name: Identifier | None = Field(None, description="the workflow's name for people")
    next_run_id: Identifier | None = Field(None, description="the run that follows this one")
    parent: RunReference | None = Field(None, description="the run that started this one")
    root: RunReference | None = Field(None, description="the first run of the tree")
    labels: Labels | Marker | None = Field(None, description="names and values to filter by")
    scheduled_for: Instant | None = Field(None, description="when it is due to start")
    queue: Identifier | None = Field(None, description="where it waits to be picked up")
    started_at: Instant | None = Field(None, description="when it started")
    completed_at: Instant | None = Field(None, description="when it ended; the event's time where absent")
    input: Json | None = Field(None, description="what it was given: any JSON")
    output: Json | None = Field(None, description="what it gave: any JSON")
    error: ErrorInfo | Marker | None = Field(None, description="what went wrong")
    duration_ms: DurationMs | None = Field(None, description="duration that the publisher measured, in milliseconds")
    activities_executed: Count | None = Field(None, description="activities run so far")
    progress: Progress | Marker | None = Field(None, description="how far the work is")
    reason: Text | Marker | None = Field(None, description="why")
    actor: Identifier | None = Field(None, description="who asked for it")
    timeout_kind: Identifier | None = Field(None, description="which deadline passed")
    timeout_ms: DurationMs | None = Field(None, description="the deadline, in milliseconds")

    @model_validator(mode="after")
    def _revises_needs_server(self) -> Self:
        if self.revises and self.authority is not Authority.SERVER:
            raise refuse("revises_needs_server", "only authority `server` can revise")
        return self

    @property
    def run(self) -> RunKey:
        """The run's three names."""
        return RunKey(self.namespace, self.temporal_workflow_id, self.temporal_run_id)

    def states(self, field: str) -> bool:
        """Whether the publisher stated a field, rather than leaving it to its default."""
        return field in self.model_fields_set


# A payload that PostgreSQL cannot hold is withheld; anything else that it refuses makes the record a dead letter.
PAYLOAD_FIELDS = frozenset({"input", "output", "error", "progress", "labels", "reason"})
# These keep the text they came in; the other payloads are parsed, for their parts are known.
JSON_FIELDS = frozenset({"input", "output"})


class Event(Part):
    """One lifecycle event: `source` and `id` name it, `verb` says what happened, `data` to which execution."""

    specversion: Literal["1.0"] = "1.0"
    id: Identifier = Field(description="unique within the source")
    source: Identifier = Field(description="who published it")
    verb: Annotated[Verb, Field(strict=False)] = Field(description=f"`type` is {TYPE_PREFIX}<verb>{TYPE_SUFFIX}")
    time: Instant = Field(description="when it happened")
    subject: str | None = Field(None, description="the execution's id")
    partitionkey: str | None = Field(None, description="the record's key")
    sequence: str | None = Field(None, description="the source's own order; informative")
    traceparent: str | None = Field(None, description="W3C trace context")
    data: ExecutionData

    @model_validator(mode="after")
    def _operators_and_guesses_say_which_attempt(self) -> Self:
        if not VERBS[self.verb].terminal:
            return self
        authority = self.data.authority
        if authority in (Authority.OPERATOR, Authority.INFERRED) and not self.data.states("attempt"):
            raise refuse("attempt_not_stated", f"a terminal event of authority `{authority}` must state data.attempt")
        if authority is Authority.OPERATOR and self.data.completed_at is None:
            raise refuse("completed_at_not_stated", "a terminal event of an operator must state data.completed_at")
        return self

    @property
    def withheld(self) -> dict[str, Withheld]:
        """The payload fields that are withheld, with their markers."""
        fields = vars(self.data)
        if Withheld not in map(type, fields.values()):  # as nearly always
            return {}
        return {name: value for name, value in sorted(fields.items()) if isinstance(value, Withheld)}

    @property
    def type(self) -> str:
        """The CloudEvents type."""
        return type_of(self.verb)

    @property
    def execution_id(self) -> UUID:
        """The id of the execution it speaks of."""
        return execution_id(*self.data.run)


def stored_json(value: Any) -> JsonText:  # noqa: ANN401 - every kind of payload
    """Return a payload as it is stored: its own text, a marker, or the compact text of its known parts."""
    if isinstance(value, JsonText):
        return value
    if isinstance(value, Withheld):
        return value.text
    if isinstance(value, BaseModel):
        return JsonText(value.model_dump_json(exclude_none=True))  # orjson ends at integers of 64 bits
    return JsonText.of(value)
