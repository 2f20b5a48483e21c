"""A schema's fields in words for people: type, limit, meaning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from events import Authority, limits
from events.schema import Schema, event_schema

_TYPES = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false"}
_NAMED = {
    "Identifier": ("name", f"1 to {limits.IDENTIFIER_BYTES_MAX} bytes"),
    "Time": ("time", f"[{limits.TIME_MIN.year}, {limits.TIME_MAX.year})"),
    "Authority": ("word", ", ".join(f"`{authority}`" for authority in Authority)),
}


class Field(NamedTuple):
    """One field: its name on the wire, and what to write there."""

    name: str
    type: str
    limit: str
    meaning: str
    required: bool


def envelope() -> list[Field]:
    """Return the fields of the envelope."""
    return list(_fields(event_schema("publisher"), ""))


def part(name: str, prefix: str = "") -> list[Field]:
    """Return the fields of a part, such as `ExecutionData`; the prefix goes before their names."""
    return list(_fields(event_schema("publisher")["$defs"][name], prefix))


def _fields(node: Schema, prefix: str) -> Iterator[Field]:
    for name, schema in node["properties"].items():
        stated = [_said(option) for option in schema.get("anyOf", [schema]) if option != {"type": "null"}]
        meaning = schema.get("description", "")
        if default := schema.get("default"):
            meaning += f"; `{default}` where absent"
        type_ = " or ".join(kind for kind, _ in stated)
        limit = ", ".join(bound for _, bound in stated if bound)
        yield Field(prefix + name, type_, limit, meaning, name in node.get("required", ()))


def _said(node: Schema) -> tuple[str, str]:
    """Return the type and the limit of what a schema describes."""
    if reference := node.get("$ref"):
        name = reference.rpartition("/")[2]
        return _NAMED.get(name, (f"`{name}`", ""))
    if node.get("type") == "object":
        return "map of text", f"at most {node['maxProperties']}"
    return _TYPES.get(node.get("type", ""), "any JSON"), _bounds(node)


def _bounds(node: Schema) -> str:
    match node:
        case {"const": value}:
            return f"`{value}`"
        case {"maxLength": int(most)}:
            return f"at most {most:,} bytes"
        case {"minimum": int(least), "maximum": int(most)}:
            return f"{least} to {most:,}"
        case {"minimum": int(least)}:
            return f"at least {least}"
        case _:
            return ""
