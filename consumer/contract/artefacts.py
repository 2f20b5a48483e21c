"""The files that write the contract down, and the rule that a new version of them only grows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from consumer.contract.asyncapi import asyncapi
from consumer.contract.growth import refusals
from consumer.contract.page import page
from consumer.contract.texts import example_text, json_text
from events import Verb
from events.schema import Side, event_schema

SIDES: tuple[Side, ...] = get_args(Side)


def artefacts() -> dict[str, str]:
    """Return the text of every file by its path below `docs`."""
    return {
        **{_schema_path(side): json_text(event_schema(side)) for side in SIDES},
        "contract/asyncapi.json": json_text(asyncapi()),
        **{f"contract/examples/{verb}.json": example_text(verb) for verb in Verb},
        "event-contract.md": page(),
    }


def refused_changes(docs: Path) -> Iterator[str]:
    """Yield what has become of the schemas in a folder that is not growth; a schema that is missing is new.

    Raises:
        OSError: a schema is there and cannot be read.
        ValueError: a schema is there and is no JSON.
    """
    for side in SIDES:
        path = docs / _schema_path(side)
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            yield from (f"{path}: {refusal}" for refusal in refusals(before, event_schema(side), side))


def write(docs: Path) -> list[Path]:
    """Write every file below a folder, and return those that were not so already."""
    written = []
    for name, text in artefacts().items():
        path = docs / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def _schema_path(side: Side) -> str:
    return f"contract/{side}.schema.json"
