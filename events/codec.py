"""The codec: bytes of a record to an event, and back.

Decoding cuts a record into raw slices first, so that payloads keep the text they came in and only the fields of the
contract are looked at. What is wrong with a record's envelope raises `InvalidEvent` with a reason that names the
field; what PostgreSQL cannot hold in a payload is withheld and the event stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
from pydantic import BaseModel, ValidationError

from . import limits
from .errors import InvalidEvent
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
from .payload import JsonText, Withheld, nests_deeper, refusal
from .vocabulary import VERBS

_TYPE = re.compile(re.escape(TYPE_PREFIX) + r"([a-z_]+)\.v([0-9]+)")
CONTENT_TYPE = "application/cloudevents+json"

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VALUE = msgspec.json.Decoder()
_FIELD_NAMES = {
    name for model in (Event, ExecutionData, ErrorInfo, Progress, RunReference) for name in model.model_fields
}
_ENVELOPE_FIELDS = frozenset(Event.model_fields) - {"data", "verb"}
_DATA_FIELDS = frozenset(ExecutionData.model_fields)
_SPACE = re.compile(r"[ \t\r\n]*")

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


def decode(value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> Event | Skipped:
    """Return the event in a record's value.

    Raises:
        InvalidEvent: the record is not an event of this contract; its reason and field say why.
    """
    del headers  # the structured form says everything in the value
    if value is None:
        return Skipped("tombstone")
    members = _members(_text(value), "")
    if (verb := _verb(members.get("type"))) is None:
        return Skipped("unknown_verb")
    fields = {name: _plain(members[name], name) for name in sorted(_ENVELOPE_FIELDS & members.keys())}
    raw_data = members.get("data", b"null")
    data = {}
    for name, raw in _members(raw_data, "data").items():
        if name in _DATA_FIELDS and raw != b"null":
            data[name] = _payload(raw, name) if name in PAYLOAD_FIELDS else _plain(raw, f"data.{name}")
    if fields.get("specversion") is None:
        raise InvalidEvent("missing", "specversion")
    return validate({**fields, "verb": verb, "data": data})


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


def _members(raw: bytes | msgspec.Raw, field: str) -> dict[str, bytes]:
    """Return the members of a JSON object as raw slices."""
    try:
        return {name: bytes(slice_) for name, slice_ in _MEMBERS.decode(raw).items()}
    except msgspec.ValidationError:
        raise InvalidEvent("missing" if field and bytes(raw) == b"null" else "not_an_object", field) from None
    except RecursionError:
        raise InvalidEvent("too_deep", field) from None
    except msgspec.DecodeError:
        return _members_by_hand(bytes(raw).decode(), field)


def _members_by_hand(text: str, field: str) -> dict[str, bytes]:
    """Do the same for what a strict parser refuses and a payload may contain: NaN and halves of surrogate pairs."""
    scanner = json.JSONDecoder(parse_int=str)  # Python converts no integer of more than 4,300 digits
    members: dict[str, bytes] = {}
    try:
        if not isinstance(scanner.decode(text), dict):
            raise InvalidEvent("not_an_object", field)
        at = _skip(text, text.index("{") + 1)
        while text[at] != "}":
            name, at = scanner.raw_decode(text, _skip(text, at + (text[at] == ",")))
            start = _skip(text, _skip(text, at) + 1)
            _, at = scanner.raw_decode(text, start)
            members[name] = text[start:at].encode()
            at = _skip(text, at)
    except RecursionError:
        raise InvalidEvent("too_deep", field) from None
    except ValueError as error:
        raise InvalidEvent("not_json", field, str(error)) from None
    return members


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _verb(raw: bytes | None) -> str | None:
    """Return the verb of a type, or None if it is one that a later v1 has added."""
    if raw is None:
        raise InvalidEvent("missing", "type")
    type_ = _plain(raw, "type")
    match = _TYPE.fullmatch(type_) if isinstance(type_, str) else None
    if match is None:
        raise InvalidEvent("unknown_type", "type")
    if match[2] != "1":
        raise InvalidEvent("unsupported_version", "type", f"v{match[2]}; this consumer reads v1")
    return match[1] if match[1] in VERBS else None


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
