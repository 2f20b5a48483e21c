"""The short way: an ordinary record straight into an event.

pydantic says what an event is, and takes its time. Nearly all records are ordinary: short names, times in UTC, no
escape that could be a NUL or half of a surrogate pair, nothing said of an end but by its witnesses. For these
`ordinary_event` gives the very event that the long way of `events.codec` gives, in half the time. Of anything else it
says nothing (None), and the long way decides. So it refuses nothing, and may let go of what is not worth its lines.

The types it reads with are made from the models' own annotations; the envelope's fields and what the models' validators
demand are written out, and tests hold both to the models.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, Required, TypedDict, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta, Raw
from pydantic import BaseModel

from . import limits
from .members import cut, each_once
from .models import (
    PAYLOAD_FIELDS,
    Amount,
    Attempt,
    Count,
    DurationMs,
    ErrorInfo,
    Event,
    ExecutionData,
    Identifier,
    Instant,
    Json,
    Labels,
    Part,
    Progress,
    RunReference,
    Spoken,
    Text,
    type_of,
)
from .payload import JsonText, has_lengths_to_look_at, refusal
from .vocabulary import VERBS, Authority, Verb

_PartT = TypeVar("_PartT", bound=Part)

BYTES_MAX = 65_536  # a longer record spends its time elsewhere, and none of its payloads is too large
_BYTES_OF_A_CHARACTER = 4  # at most, in UTF-8: what is short enough in characters is so in bytes
# NUL, half of a surrogate pair, or a quote that is written without one.
_HARMFUL_ESCAPE = re.compile(rb"\\u(?:0000|0022|[dD][89a-fA-F])")
_UTC = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|\+00:00)")
_WITNESSES = (Authority.WORKER, Authority.SERVER)  # what others say of an end has rules of its own
_VERBS = {type_of(verb): verb for verb in Verb}

_Name = Annotated[str, Meta(min_length=1, max_length=limits.IDENTIFIER_BYTES_MAX // _BYTES_OF_A_CHARACTER)]
_Key = Annotated[str, Meta(max_length=limits.PAYLOAD_KEY_BYTES_MAX // _BYTES_OF_A_CHARACTER)]

# A type of the contract, and what it is read as; the text of all others is cut out and read by itself.
_READ_AS: tuple[tuple[Any, Any], ...] = (
    (Identifier, _Name),
    (Instant, str),
    (Attempt, Annotated[int, Meta(ge=1, le=limits.COUNT_MAX)]),
    (Count, Annotated[int, Meta(ge=0, le=limits.COUNT_MAX)]),
    (DurationMs, Annotated[int, Meta(ge=0, le=limits.DURATION_MS_MAX)]),
    (Spoken, Authority),
    (Text, Annotated[str, Meta(max_length=limits.TEXT_BYTES_MAX // _BYTES_OF_A_CHARACTER)]),
    (Labels, Annotated[dict[_Key, str], Meta(max_length=limits.LABELS_MAX)]),
    (Amount, Annotated[float, Meta(ge=0)] | Annotated[int, Meta(ge=0)]),
    (bool, bool),
    (str, str),
)


class _UnusualError(ValueError):
    """The long way must have a look."""


def _hints(model: type[Part]) -> dict[str, Any]:
    hints = get_type_hints(model, include_extras=True)
    return {name: hints[name] for name in model.model_fields}


def _is(hint: Any, *types: Any) -> bool:  # noqa: ANN401 - annotations
    return any(hint == type_ or type_ in get_args(hint) for type_ in types)


def _read_as(hint: Any) -> Any:  # noqa: ANN401 - annotations
    return next((read_as for type_, read_as in _READ_AS if _is(hint, type_)), None)


def _fields(model: type[Part]) -> Any:  # noqa: ANN401 - a type
    """Return what a part is read as: a dictionary of the fields that are there."""
    types = {}
    for name, hint in _hints(model).items():
        type_, field = _read_as(hint) or Raw, model.model_fields[name]
        optional = type_ if type_ is Raw or field.default is not None else type_ | None
        types[name] = Required[type_] if field.is_required() else optional
    return TypedDict(model.__name__, types, total=False)  # type: ignore[operator] # made here


def _defaults(model: type[Part]) -> dict[str, Any]:
    return {name: None if field.is_required() else field.default for name, field in model.model_fields.items()}


# What an instance of a model consists of; parts are frozen, so it is put where it belongs by hand.
_put_fields = vars(BaseModel)["__dict__"].__set__
_put_stated = vars(BaseModel)["__pydantic_fields_set__"].__set__
_put_extra = vars(BaseModel)["__pydantic_extra__"].__set__
_put_private = vars(BaseModel)["__pydantic_private__"].__set__


def _instance(model: type[_PartT], fields: dict[str, Any], stated: set[str]) -> _PartT:
    """Return a part of an event without validating it again: the same as pydantic would make."""
    part = model.__new__(model)
    _put_fields(part, fields)
    _put_stated(part, stated)
    _put_extra(part, None)
    _put_private(part, None)
    return part


def _instant(text: str) -> datetime:
    if not _UTC.fullmatch(text):
        raise _UnusualError
    return datetime.fromisoformat(text)


def _sorted(labels: dict[str, str]) -> dict[str, str]:
    return dict(sorted(labels.items()))


def _json(raw: bytes) -> JsonText:
    return JsonText(raw.decode())


def _part(model: type[_PartT]) -> Callable[[bytes], _PartT]:
    decoder, defaults = msgspec.json.Decoder(_fields(model)), _defaults(model)

    def make(raw: bytes) -> _PartT:
        fields = decoder.decode(raw)
        return _instance(model, defaults | fields, set(fields))

    return make


_run_reference = _part(RunReference)


def _reference(raw: bytes) -> RunReference:
    reference = _run_reference(raw)
    if raw.count(b'"') != 4 * len(reference.model_fields_set) or b"null" in raw:
        raise _UnusualError
    return reference


# What is made of a field's value; of its text, where that was cut out.
_MADE_OF: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (Instant, _instant),
    (Labels, _sorted),
    (Json, _json),
    (ErrorInfo, _part(ErrorInfo)),
    (Progress, _part(Progress)),
    (RunReference, _reference),
)
_HINTS = _hints(ExecutionData)
_MAKE = {name: make for name, hint in _HINTS.items() for type_, make in _MADE_OF if _is(hint, type_)}
_MADE = frozenset(_MAKE)
_MAYBE_WRONG = frozenset(name for name in PAYLOAD_FIELDS if _read_as(_HINTS[name]) is None)
assert all(name in _MADE for name, hint in _HINTS.items() if _read_as(hint) is None), "no raw text is left as it is"


class _Envelope(TypedDict, total=False):
    specversion: Required[Literal["1.0"]]
    id: Required[_Name]
    source: Required[_Name]
    type: Required[str]
    time: Required[str]
    subject: str | None
    partitionkey: str | None
    sequence: str | None
    traceparent: str | None
    datacontenttype: str | None
    data: Required[_fields(ExecutionData)]  # type: ignore[valid-type] # made of the model


class _Data(msgspec.Struct):
    data: Raw


_read: Callable[[bytes], Any] = msgspec.json.Decoder(_Envelope).decode
_write = msgspec.json.Encoder().encode
_read_data = msgspec.json.Decoder(_Data).decode
_ENVELOPE_DEFAULTS, _DATA_DEFAULTS = _defaults(Event), _defaults(ExecutionData)


def ordinary_event(value: bytes) -> Event | None:
    """Return the event in a record's value, or None if the record is not ordinary."""
    if len(value) > BYTES_MAX or value.count(b"{") + value.count(b"[") > limits.PAYLOAD_DEPTH_MAX:
        return None
    if b"\\" in value and _HARMFUL_ESCAPE.search(value):
        return None
    try:
        value.decode()
        return _event(value)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _event(value: bytes) -> Event:
    envelope: dict[str, Any] = _read(value)
    verb = _VERBS.get(envelope["type"])
    if verb is None:
        raise _UnusualError
    # A name that stands twice, or that nobody knows, has two quotes that are lost on the way.
    if value.count(b'"') != _write(envelope).count(b'"') and not _each_once(value):
        raise _UnusualError
    del envelope["type"]
    envelope.pop("datacontenttype", None)
    envelope["verb"] = verb
    envelope["time"] = _instant(envelope["time"])
    envelope["data"] = _data(envelope["data"], verb)
    return _instance(Event, _ENVELOPE_DEFAULTS | envelope, set(envelope))


def _data(fields: dict[str, Any], verb: Verb) -> ExecutionData:
    """Return what an event says."""
    if None in fields.values():  # a null is not stated
        fields = {name: value for name, value in fields.items() if value is not None}
    authority = fields.get("authority", Authority.WORKER)
    if authority not in _WITNESSES and VERBS[verb].terminal:
        raise _UnusualError
    if "revises" in fields and fields["revises"] and authority is not Authority.SERVER:
        raise _UnusualError
    for name in _MADE.intersection(fields):
        value = fields[name]
        if type(value) is Raw:
            value = bytes(value)
            if value == b"null":
                del fields[name]
                continue
            if name in _MAYBE_WRONG and has_lengths_to_look_at(value) and refusal(value):
                raise _UnusualError
        fields[name] = _MAKE[name](value)
    return _instance(ExecutionData, _DATA_DEFAULTS | fields, set(fields))


def _each_once(value: bytes) -> bool:
    data = bytes(_read_data(value).data)
    return each_once(value, cut(value)) and each_once(data, cut(data))
