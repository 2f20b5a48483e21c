"""The codec: a record to an event, and back.

A record holds a CloudEvent in one of two modes. In the *structured* mode the value is the whole event as JSON; in the
*binary* mode the value is `data` alone, and the headers `ce_id`, `ce_source`, … are its envelope.

An ordinary record goes the short way (`events.ordinary`). The long way is here, and decides: it cuts a record into raw
slices first, so that payloads keep the text they came in and only the fields of the contract are looked at. What is
wrong with a record's envelope raises `InvalidEvent` with a reason that names the field; what PostgreSQL cannot hold in
a payload is withheld and the event stands.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
from pydantic import BaseModel, ValidationError

from . import limits
from .errors import InvalidEvent
from .members import SPACES, members_of
from .models import (
    JSON_FIELDS,
    PAYLOAD_FIELDS,
    TYPE_PREFIX,
    ErrorInfo,
    Event,
    ExecutionData,
    Progress,
    RunReference,
    stored_json,
)
from .ordinary import ordinary_event
from .payload import JsonText, Withheld, nests_deeper, refusal
from .versions import VERSIONS, Members, Versions
from .vocabulary import VERBS

Headers = Iterable[tuple[str, bytes | None]]

CONTENT_TYPE = "application/cloudevents+json"
_TYPE = re.compile(re.escape(TYPE_PREFIX) + r"([a-z_]+)\.v(0|[1-9][0-9]{0,8})")
_STRUCTURED = b"application/cloudevents"
_ATTRIBUTE = "ce_"
_VALUE = msgspec.json.Decoder()
_FIELD_NAMES = {
    name for model in (Event, ExecutionData, ErrorInfo, Progress, RunReference) for name in model.model_fields
}
_ENVELOPE_FIELDS = frozenset(Event.model_fields) - {"data", "verb"}
_DATA_FIELDS = frozenset(ExecutionData.model_fields)

# pydantic's own error types in the words of our dead letters; any other type is its own word.
_REASONS = {
    "missing": "missing",
    "string_type": "not_a_string",
    "int_type": "not_an_integer",
    "string_too_long": "too_long",
    "string_too_short": "empty",
    "string_unicode": "lone_surrogate",
}

# What is found by looking at several fields together, and the field that would mend it.
_WHOLE_EVENT_REASONS = {
    "revises_needs_server": "data.revises",
    "attempt_not_stated": "data.attempt",
    "completed_at_not_stated": "data.completed_at",
}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that says nothing to this version, and is counted.

    Attributes:
        reason: `tombstone` for a null value, `unknown_verb` for a verb of v1 that a later publisher knows.
    """

    reason: str


def decode(value: bytes | None, headers: Headers = (), *, versions: Versions = VERSIONS) -> Event | Skipped:
    """Return the event in a record.

    Args:
        value: the record's value.
        headers: the record's headers; of a repeated one the first counts.
        versions: the versions of the contract that are read.

    Raises:
        InvalidEvent: the record is not an event of this contract; its reason and field say why.
    """
    headers = tuple(headers)
    if len(headers) > limits.HEADERS_MAX:
        raise InvalidEvent("too_many_headers", detail=f"{len(headers)}, at most {limits.HEADERS_MAX}")
    if value is None:
        return Skipped("tombstone")
    if (attributes := _attributes(headers)) is not None:
        return _event({**attributes, "data": _text(value).strip(SPACES)}, versions)
    if versions is VERSIONS and (event := ordinary_event(value)) is not None:
        return event
    members = members_of(_text(value), "")
    if "data" not in members and "data_base64" in members:
        members["data"] = _text(_from_base64(members["data_base64"]))
    return _event(members, versions)


def _from_base64(raw: bytes) -> bytes:
    try:
        return base64.b64decode(_plain(raw, "data_base64"), validate=True)
    except (TypeError, ValueError):
        raise InvalidEvent("not_base64", "data_base64") from None


def _attributes(headers: tuple[tuple[str, bytes | None], ...]) -> Members | None:
    """Return the envelope that the headers hold, or None if the value holds it."""
    found: dict[str, bytes] = {}
    for name, value in headers:
        if value is not None:
            found.setdefault(name.lower(), value)
    if found.get("content-type", b"").lower().startswith(_STRUCTURED) or f"{_ATTRIBUTE}specversion" not in found:
        return None
    names = sorted(_ENVELOPE_FIELDS | {"type"})
    return {name: _header(found[key], name) for name in names if (key := _ATTRIBUTE + name) in found}


def _header(value: bytes, name: str) -> bytes:
    try:
        return orjson.dumps(value.decode())
    except UnicodeDecodeError as error:
        raise InvalidEvent("not_utf8", name, f"byte {error.start} of the header") from None


def _event(members: Members, versions: Versions) -> Event | Skipped:
    version, verb = _version_and_verb(members.get("type"))
    way = versions.way_from(version)
    if not way and verb not in VERBS:
        return Skipped("unknown_verb")
    envelope = {name: _plain(members[name], name) for name in sorted(_ENVELOPE_FIELDS & members.keys())}
    said = members_of(members.get("data", b"null"), "data")
    for upcaster in way:
        verb, said = upcaster(verb, said)
    if verb not in VERBS:
        return Skipped("unknown_verb")
    data = {}
    for name, raw in said.items():
        if name in _DATA_FIELDS and raw != b"null":
            data[name] = _payload(raw, name) if name in PAYLOAD_FIELDS else _plain(raw, f"data.{name}")
    if envelope.get("specversion") is None:
        raise InvalidEvent("missing", "specversion")
    return validate({**envelope, "verb": verb, "data": data})


def validate(fields: dict[str, Any]) -> Event:
    """Return the event made of these fields.

    Raises:
        InvalidEvent: the first field that is wrong, and why.
    """
    try:
        return Event.model_validate(fields)
    except ValidationError as error:
        raise _invalid(error) from None


def encode(event: Event) -> bytes:
    """Return an event as structured CloudEvents JSON; a payload goes out with the text it came in."""
    data = _stated(event.data)
    envelope = _stated(event)
    envelope.pop("verb")
    envelope |= {"type": event.type, "datacontenttype": "application/json", "data": data}
    return orjson.dumps(envelope, option=orjson.OPT_UTC_Z)


def _stated(part: BaseModel) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in type(part).model_fields:
        value = getattr(part, name)
        if value is None or name == "data" or (name not in part.model_fields_set and name != "specversion"):
            continue
        if isinstance(value, (JsonText, Withheld)) or (name in PAYLOAD_FIELDS and not isinstance(value, str)):
            value = orjson.Fragment(stored_json(value).encode())
        elif isinstance(value, BaseModel):
            value = value.model_dump(exclude_none=True)
        fields[name] = value
    return fields


def _text(value: bytes) -> bytes:
    if len(value) > limits.RECORD_BYTES_MAX:
        raise InvalidEvent("too_large", detail=f"{len(value)} bytes, at most {limits.RECORD_BYTES_MAX}")
    if not value.strip():
        raise InvalidEvent("empty")
    try:
        value.decode()
    except UnicodeDecodeError as error:
        raise InvalidEvent("not_utf8", detail=f"byte {error.start}") from None
    if nests_deeper(value, limits.RECORD_DEPTH_MAX):
        raise InvalidEvent("too_deep", detail=f"at most {limits.RECORD_DEPTH_MAX}")
    return value


def _version_and_verb(raw: bytes | None) -> tuple[int, str]:
    if raw is None:
        raise InvalidEvent("missing", "type")
    type_ = _plain(raw, "type")
    match = _TYPE.fullmatch(type_) if isinstance(type_, str) else None
    if match is None:
        raise InvalidEvent("unknown_type", "type")
    return int(match[2]), match[1]


def _plain(raw: bytes, field: str) -> Any:  # noqa: ANN401 - validated by the models
    try:
        return _VALUE.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        code = refusal(raw) or "not_json"
        raise InvalidEvent(code, field) from None


def _payload(raw: bytes, name: str) -> Any:  # noqa: ANN401 - validated by the models
    if code := refusal(raw):
        return Withheld.of(raw, code)
    return JsonText(raw.decode()) if name in JSON_FIELDS else _plain(raw, f"data.{name}")


def _invalid(error: ValidationError) -> InvalidEvent:
    first = error.errors(include_url=False, include_input=False)[0]
    reason = _REASONS.get(first["type"], first["type"])
    path = [str(part) for part in first["loc"] if part in _FIELD_NAMES]
    field = _WHOLE_EVENT_REASONS.get(reason) or ".".join("type" if part == "verb" else part for part in path)
    return InvalidEvent(reason, field, first["msg"])
