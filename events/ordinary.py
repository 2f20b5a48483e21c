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
_HARMFUL_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_UTC = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
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
_NOT_IN_QUOTES = (Attempt, Count, DurationMs, Labels, bool)


class _UnusualError(ValueError):
    """The long way must have a look."""


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


class _Data(msgspec.Struct):
    data: Raw


def _hints(model: type[Part]) -> dict[str, Any]:
    hints = get_type_hints(model, include_extras=True)
    return {name: hints[name] for name in model.model_fields}


def _is(hint: Any, *types: Any) -> bool:  # noqa: ANN401 - annotations
    return any(hint == type_ or type_ in get_args(hint) for type_ in types)


def _read_as(hint: Any) -> Any:  # noqa: ANN401 - annotations
    return next((read_as for type_, read_as in _READ_AS if _is(hint, type_)), None)


def _decoder(model: type[Part]) -> msgspec.json.Decoder[dict[str, Any]]:
    """Return what reads the fields of a part that have a type to be read as; it gives those that are there."""
    types = {}
    for name, hint in _hints(model).items():
        if (type_ := _read_as(hint)) is not None:
            field = model.model_fields[name]
            optional = type_ if field.default is not None else type_ | None
            types[name] = Required[type_] if field.is_required() else optional
    return msgspec.json.Decoder(TypedDict(model.__name__, types, total=False))  # type: ignore[operator] # made here


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
    decoder, defaults = _decoder(model), _defaults(model)

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
_TEXTS = [name for name, hint in _HINTS.items() if _read_as(hint) is None]
_VALUES = _MAKE.keys() - set(_TEXTS)
assert set(_TEXTS) <= _MAKE.keys(), "every field is read at once, or made of its text"
_BARE = frozenset(name for name, hint in _HINTS.items() if _is(hint, *_NOT_IN_QUOTES))

_read_envelope = msgspec.json.Decoder(_Envelope).decode
_read_data = msgspec.json.Decoder(_Data).decode
_read_values = _decoder(ExecutionData).decode
_read_texts = msgspec.json.Decoder(msgspec.defstruct("_Texts", [(name, Raw, None) for name in _TEXTS])).decode
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
    envelope = _read_envelope(value)
    verb = _VERBS.get(envelope["type"])
    if verb is None:
        raise _UnusualError
    raw = bytes(_read_data(value).data)
    data, quotes = _data(raw, verb)
    # Every name and every text has two quotes: a name that stands twice, or that nobody knows, has two of its own.
    quotes += 2 + 4 * len(envelope) - 2 * list(envelope.values()).count(None)
    if value.count(b'"') != quotes and not (_each_once(value) and _each_once(raw)):
        raise _UnusualError
    stated = {name: text for name, text in envelope.items() if name in _ENVELOPE_DEFAULTS}
    stated |= {"verb": verb, "time": _instant(envelope["time"]), "data": data}
    return _instance(Event, _ENVELOPE_DEFAULTS | stated, set(stated))


def _data(raw: bytes, verb: Verb) -> tuple[ExecutionData, int]:
    """Return what an event says, and how many quotes the names and texts have that it was read from."""
    fields = _read_values(raw)
    texts = _read_texts(raw)
    quotes = 0
    if None in fields.values():  # a null is not stated
        quotes = 2 * list(fields.values()).count(None)
        fields = {name: value for name, value in fields.items() if value is not None}
    quotes += 4 * len(fields) - 2 * len(fields.keys() & _BARE) + 4 * len(fields.get("labels", ()))
    authority = fields.get("authority", Authority.WORKER)
    if authority not in _WITNESSES and VERBS[verb].terminal:
        raise _UnusualError
    if authority is not Authority.SERVER and fields.get("revises"):
        raise _UnusualError
    for name in fields.keys() & _VALUES:
        fields[name] = _MAKE[name](fields[name])
    for name in _TEXTS:
        text = getattr(texts, name)
        if text is None:
            continue
        text = bytes(text)
        quotes += 2 + text.count(b'"')
        if text != b"null":
            if name in PAYLOAD_FIELDS and has_lengths_to_look_at(text) and refusal(text):
                raise _UnusualError
            fields[name] = _MAKE[name](text)
    return _instance(ExecutionData, _DATA_DEFAULTS | fields, set(fields)), quotes


def _each_once(raw: bytes) -> bool:
    return each_once(raw, cut(raw))
