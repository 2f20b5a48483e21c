"""The schemas accept what the codec accepts, and refuse what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from consumer.contract.artefacts import SIDES
from events import Event, InvalidEvent, Skipped, Verb, decode, encode, limits
from events.examples import example, examples
from events.models import ErrorInfo, ExecutionData, Progress, RunReference, type_of
from events.schema import Side, event_schema
from tests.contract.golden import FOLDER
from tests.schema.conftest import Complaints
from tests.strategies import events

# A change of the example of `started`: the field's path, its new value (absent: `...`), and why the codec refuses it.
REFUSED: dict[str, tuple[str, Any, str]] = {
    "another specversion": ("specversion", "0.3", "literal_error"),
    "no specversion": ("specversion", ..., "missing"),
    "no id": ("id", ..., "missing"),
    "an empty id": ("id", "", "empty"),
    "a number as id": ("id", 7, "not_a_string"),
    "NUL in the source": ("source", "a\x00b", "nul_character"),
    "a source without end": ("source", "x" * (limits.IDENTIFIER_BYTES_MAX + 1), "too_long"),
    "no type": ("type", ..., "missing"),
    "a foreign type": ("type", "com.example.started", "unknown_type"),
    "another version": ("type", "workflow.execution.started.v2", "unsupported_version"),
    "a naive time": ("time", "2026-01-01T00:00:00", "naive_time"),
    "a number as time": ("time", 1_767_225_600, "not_a_time"),
    "no data": ("data", ..., "missing"),
    "a list as data": ("data", [], "not_an_object"),
    "no run": ("data.temporal_run_id", ..., "missing"),
    "a null as run": ("data.temporal_run_id", None, "missing"),
    "attempt 0": ("data.attempt", 0, "greater_than_equal"),
    "an attempt beyond INTEGER": ("data.attempt", 2**31, "less_than_equal"),
    "an attempt as text": ("data.attempt", "1", "not_an_integer"),
    "an unknown authority": ("data.authority", "king", "enum"),
    "a worker who revises": ("data.revises", True, "revises_needs_server"),
    "a negative duration": ("data.duration_ms", -1, "greater_than_equal"),
    "a number as reason": ("data.reason", 7, "not_a_string"),
    "an error without a message": ("data.error", {"type": "E"}, "missing"),
    "a text as error": ("data.error", "boom", "model_type"),
    "a negative progress": ("data.progress", {"done": -1}, "greater_than_equal"),
    "half a reference": ("data.parent", {"temporal_run_id": "r"}, "missing"),
    "numbers in labels": ("data.labels", {"a": 1}, "not_a_string"),
    "too many labels": ("data.labels", {str(n): "" for n in range(limits.LABELS_MAX + 1)}, "too_many_labels"),
}
ACCEPTED: dict[str, tuple[str, Any]] = {
    "an attempt that is null": ("data.attempt", None),
    "a null as output": ("data.output", None),
    "a number as output": ("data.output", 1.5),
    "a list as input": ("data.input", [1, {"a": None}]),
    "no media type": ("datacontenttype", ...),
    "no subject": ("subject", ...),
    "a null as subject": ("subject", None),
    "a time with an offset": ("time", "2026-01-01T00:00:00.123456+05:30"),
    "progress in halves": ("data.progress", {"done": 1.5, "total": 3}),
    "a parent without namespace": ("data.parent", {"temporal_workflow_id": "w", "temporal_run_id": "r"}),
}
# What must be stated at the end of a run by those who did not see it: authority, fields, and the reason if refused.
ENDINGS = [
    ("operator", {"attempt": 1, "completed_at": "2026-01-01T00:00:00Z"}, None),
    ("operator", {"attempt": 1}, "completed_at_not_stated"),
    ("operator", {"attempt": 1, "completed_at": None}, "completed_at_not_stated"),
    ("operator", {"completed_at": "2026-01-01T00:00:00Z"}, "attempt_not_stated"),
    ("inferred", {"attempt": 1}, None),
    ("inferred", {"attempt": None}, "attempt_not_stated"),
    ("inferred", {}, "attempt_not_stated"),
    ("worker", {}, None),
    ("server", {}, None),
]


def wire(verb: Verb) -> dict[str, Any]:
    """The example of a verb as it travels."""
    value: dict[str, Any] = json.loads(encode(example(verb)))
    return value


def changed(path: str, value: Any) -> dict[str, Any]:
    """The example of `started` with one field changed."""
    event = wire(Verb.STARTED)
    *outer, name = path.split(".")
    part = event[outer[0]] if outer else event
    if value is ...:
        part.pop(name)
    else:
        part[name] = value
    return event


def reason(event: dict[str, Any]) -> str | None:
    """Why the codec refuses an event, or None."""
    try:
        decode(json.dumps(event).encode())
    except InvalidEvent as error:
        return error.reason
    return None


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("verb", list(Verb))
def test_every_example_is_valid(complaints: Complaints, side: Side, verb: Verb) -> None:
    """Each example satisfies both schemas."""
    assert complaints(side, wire(verb)) == []


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("verb", list(Verb))
def test_every_golden_record_is_valid(complaints: Complaints, side: Side, verb: Verb) -> None:
    """Each record that must be read for ever satisfies both schemas, and is the same event after another journey."""
    value = (FOLDER / f"{verb}.json").read_bytes()
    assert complaints(side, json.loads(value)) == []
    read = decode(value)
    assert isinstance(read, Event)
    assert decode(encode(read)) == read


@given(event=events())
def test_what_is_published_is_valid(complaints: Complaints, event: Event) -> None:
    """Both schemas accept whatever the codec writes."""
    value = json.loads(encode(event))
    assert [complaints(side, value) for side in SIDES] == [[], []]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("path", "value", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_codec_refuses_is_invalid(complaints: Complaints, side: Side, path: str, value: Any, why: str) -> None:
    """Both schemas refuse what the codec refuses."""
    event = changed(path, value)
    assert reason(event) == why
    assert complaints(side, event) != []


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("path", "value"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_the_codec_accepts_is_valid(complaints: Complaints, side: Side, path: str, value: Any) -> None:
    """Both schemas accept what the codec accepts, nulls for fields that are not stated among it."""
    event = changed(path, value)
    assert reason(event) is None
    assert complaints(side, event) == []


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("authority", "stated", "why"), ENDINGS)
def test_who_did_not_see_the_end_says_which_one(
    complaints: Complaints, side: Side, authority: str, stated: dict[str, Any], why: str | None
) -> None:
    """A guess states its attempt and an operator the time as well, at the end of a run and only there."""
    for verb, refused in ((Verb.FAILED, why), (Verb.PAUSED, None)):
        event = wire(verb)
        event["data"] |= {"authority": authority, **stated}
        assert reason(event) == refused
        assert bool(complaints(side, event)) == bool(refused)


@pytest.mark.parametrize("path", ["dataschema", "data.started", "data.error.kind", "data.progress.x", "data.parent.id"])
def test_unknown_fields_are_for_consumers_only(complaints: Complaints, path: str) -> None:
    """A field that nobody knows is refused by the publisher's schema, and accepted and ignored by consumers."""
    event = wire(Verb.STARTED)
    event["data"] |= {"error": {"message": "m"}, "progress": {}}
    part = event
    *outer, name = path.split(".")
    for step in outer:
        part = part[step]
    known = decode(json.dumps(event).encode())
    part[name] = {"any": "thing"}
    assert complaints("publisher", event) != []
    assert complaints("consumer", event) == []
    assert decode(json.dumps(event).encode()) == known


def test_a_verb_of_tomorrow_is_for_consumers_only(complaints: Complaints) -> None:
    """An unknown verb of v1 is refused by the publisher's schema, and accepted and skipped by consumers."""
    event = wire(Verb.STARTED) | {"type": "workflow.execution.migrated.v1"}
    assert complaints("publisher", event) != []
    assert complaints("consumer", event) == []
    assert decode(json.dumps(event).encode()) == Skipped("unknown_verb")


@pytest.mark.parametrize("side", SIDES)
def test_the_schema_speaks_of_the_wire(side: Side) -> None:
    """Neither the marker of withheld payloads nor the model's `verb` is in a schema."""
    schema = event_schema(side)
    assert "ithheld" not in json.dumps(schema)
    assert "verb" not in schema["properties"]
    assert set(json.loads(encode(example(Verb.STARTED)))) == set(schema["properties"])


@pytest.mark.parametrize("side", SIDES)
def test_the_schema_has_every_field_and_its_meaning(side: Side) -> None:
    """Each field of the models is in the schema with its description, in objects that are closed or open."""
    parts = event_schema(side)["$defs"]
    for model in (ExecutionData, ErrorInfo, Progress, RunReference):
        part = parts[model.__name__]
        said = {name: field.get("description") for name, field in part["properties"].items()}
        assert said == {name: field.description for name, field in model.model_fields.items()}
        assert part["additionalProperties"] is (side == "consumer")


def test_publishers_have_fifteen_types() -> None:
    """The publisher's schema names the type of every verb, and no other."""
    types = event_schema("publisher")["properties"]["type"]["enum"]
    assert types == [type_of(verb) for verb in Verb] == [event.type for event in examples().values()]
    assert len(types) == 15


def test_the_examples_carry_every_field() -> None:
    """Together the examples state every field of `data`, so that none is without one."""
    stated = {name for event in examples().values() for name in event.data.model_fields_set}
    assert stated == set(ExecutionData.model_fields)


def test_examples_are_read_as_they_were_written() -> None:
    """Decoding an example's bytes gives the example again."""
    assert [decode(encode(event)) for event in examples().values()] == list(examples().values())
