"""JSON Schema (2020-12) of an event on the wire, made from the models: closed for publishers, open for consumers.

The closed schema refuses every field that the contract does not know, so that a misspelled one is found before it is
published; the open one accepts what a later v1 may add, as consumers do. Both describe the wire, where `type` stands
for the model's `verb` and a null is a field that is not stated. What JSON Schema cannot say (bytes of UTF-8, the
window of times, what PostgreSQL cannot hold in a payload) stands in the descriptions; `events.codec` has the last word.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from . import limits
from .models import TYPE_PREFIX, TYPE_SUFFIX, Event, type_of
from .vocabulary import VERBS, Authority, Verb

Schema = dict[str, Any]
Side = Literal["publisher", "consumer"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NULL: Schema = {"type": "null"}
_INTERNAL = {"Withheld", "Verb"}  # a marker that the codec alone makes, and what `type` stands for on the wire
_MARKER = {"$ref": "#/$defs/Withheld"}

# Shapes that many fields share: name, shape as the models give it, and what the shape alone cannot say.
_SHARED: tuple[tuple[str, Schema, Schema], ...] = (
    (
        "Identifier",
        {"type": "string", "minLength": 1, "maxLength": limits.IDENTIFIER_BYTES_MAX},
        {
            "pattern": "^[^\\u0000]*$",
            "description": f"a name: 1 to {limits.IDENTIFIER_BYTES_MAX} bytes of UTF-8, without NUL",
        },
    ),
    (
        "Time",
        {"type": "string", "format": "date-time"},
        {
            "pattern": "([Zz]|[+-][0-9]{2}:[0-9]{2})$",
            "description": f"RFC 3339 with an offset, kept to the microsecond, in [{limits.TIME_MIN.year}, "
            f"{limits.TIME_MAX.year})",
        },
    ),
)


def event_schema(side: Side) -> Schema:
    """Return the schema of an event as publishers must write it, or as consumers must be ready to read it."""
    made = Event.model_json_schema()
    parts = {name: _cleaned(part, side) for name, part in made.pop("$defs").items() if name not in _INTERNAL}
    parts["ExecutionData"] = _data(parts["ExecutionData"])
    shared = {name: {**shape, **more} for name, shape, more in _SHARED}
    return {
        "$schema": DIALECT,
        "title": f"Lifecycle event of a workflow execution, for {side}s",
        **_envelope(_cleaned(made, side), side),
        "allOf": _rules_of_endings(),
        "$defs": {**shared, **parts},
    }


def _cleaned(node: Any, side: Side) -> Any:  # noqa: ANN401 - a schema, or a part of one
    """Return a generated schema without titles, markers and empty defaults, its objects closed or open."""
    if isinstance(node, list):
        return [_cleaned(item, side) for item in node]
    if not isinstance(node, dict):
        return node
    if "ge" in node:  # pydantic's own word for the bound of a union of numbers
        return {"type": "number", "minimum": node["ge"]}
    for name, shape, _ in _SHARED:
        if shape.items() <= node.items():
            node = {"$ref": f"#/$defs/{name}"} | {key: value for key, value in node.items() if key not in shape}
    clean = {key: _cleaned(value, side) for key, value in node.items() if key not in ("title", "properties")}
    if "default" in clean and clean["default"] is None:
        del clean["default"]
    if "anyOf" in clean:
        clean = _without_marker(clean)
    if "properties" in node:  # a map of names, which may be called like a keyword
        clean["properties"] = {name: _cleaned(value, side) for name, value in node["properties"].items()}
        clean["additionalProperties"] = side == "consumer"
    return clean


def _without_marker(node: Schema) -> Schema:
    options = [option for option in node.pop("anyOf") if option != _MARKER]
    if {} in options:  # any JSON
        return node
    return {"anyOf": options, **node}


def _envelope(node: Schema, side: Side) -> Schema:
    """Return the schema of the envelope with the names of the wire."""
    properties = node["properties"]
    del properties["verb"]
    type_: Schema = {"type": "string", "description": f"what happened: `{TYPE_PREFIX}<verb>{TYPE_SUFFIX}`"}
    if side == "publisher":
        type_["enum"] = [type_of(name) for name in Verb]
    else:
        type_["pattern"] = f"^{re.escape(TYPE_PREFIX)}[a-z_]+{re.escape(TYPE_SUFFIX)}$"
    media: Schema = {"description": "media type of `data`", "default": "application/json"}
    if side == "publisher":
        media |= {"type": "string", "const": media["default"]}  # nobody reads it, so consumers take anything
    first = {name: properties.pop(name) for name in ("specversion", "id", "source")}
    first["specversion"].pop("default")  # the wire has none
    last = {"data": properties.pop("data")}
    node["properties"] = {**first, "type": type_, **properties, "datacontenttype": media, **last}
    node["required"] = ["specversion", "id", "source", "type", "time", "data"]
    node["description"] = node["description"].replace("`verb`", "`type`")
    return node


def _data(node: Schema) -> Schema:
    """Return the schema of `data`: a null is a field that is not stated, labels are counted, only servers revise."""
    properties = node["properties"]
    for name, field in properties.items():
        if name not in node["required"] and "anyOf" not in field and field.keys() - {"description"}:
            kept = {key: field.pop(key) for key in ("description", "default") if key in field}
            properties[name] = {"anyOf": [field, _NULL], **kept}
    labels = next(option for option in properties["labels"]["anyOf"] if option.get("type") == "object")
    labels["maxProperties"] = limits.LABELS_MAX
    server = {"properties": {"authority": {"const": str(Authority.SERVER)}}, "required": ["authority"]}
    return {**node, "if": _says("revises", value=True), "then": server}


def _says(name: str, *, value: object) -> Schema:
    return {"properties": {name: {"const": value}}, "required": [name]}


def _rules_of_endings() -> list[Schema]:
    """Return what a terminal event must state where its authority is not a witness of the end."""
    return [
        _ending_states(Authority.INFERRED, {"attempt": "integer"}),
        _ending_states(Authority.OPERATOR, {"attempt": "integer", "completed_at": "string"}),
    ]


def _ending_states(authority: Authority, stated: dict[str, str]) -> Schema:
    endings = [type_of(verb) for verb in Verb if VERBS[verb].terminal]
    condition = {"type": {"enum": endings}, "data": _says("authority", value=str(authority))}
    needed = {"properties": {name: {"type": type_} for name, type_ in stated.items()}, "required": list(stated)}
    return {
        "if": {"properties": condition, "required": ["type", "data"]},
        "then": {"properties": {"data": needed}},
    }
