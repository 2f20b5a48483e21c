"""The two modes of CloudEvents in Kafka, as this codec and the published SDK read and write them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.bindings.kafka import KafkaMessage
from hypothesis import given

from events import Event, InvalidEvent, Skipped, Verb, decode, encode
from events.codec import CONTENT_TYPE
from events.examples import examples
from tests.strategies import events
from tests.unit.records import ENVELOPE, NAMES, decoded, record

STRUCTURED = {"content-type": CONTENT_TYPE.encode()}


def message(event: Event) -> KafkaMessage:
    """The record that our publisher writes, as the SDK takes it."""
    return KafkaMessage(STRUCTURED, str(event.execution_id), encode(event))


def said(event: object) -> object:
    """All that an event says; the SDK puts other spaces between the members of a payload."""
    assert isinstance(event, Event)
    return json.loads(encode(event))


def read(found: KafkaMessage) -> object:
    """What the record of the SDK says."""
    return said(decode(found.value, found.headers.items()))


@pytest.mark.parametrize("verb", Verb)
def test_the_sdk_carries_every_example_in_both_modes(verb: Verb) -> None:
    """Each example, read by the published SDK and written again in either mode, is the same event."""
    event = examples()[verb]
    theirs = kafka.from_structured_event(message(event))
    assert (theirs.get_id(), theirs.get_type(), theirs.get_time()) == (event.id, event.type, event.time)
    assert read(kafka.to_structured_event(theirs)) == said(event)
    binary = kafka.to_binary_event(theirs)
    assert read(binary) == said(event)
    assert read(kafka.to_binary_event(kafka.from_binary_event(binary))) == said(event)
    assert read(kafka.to_structured_event(kafka.from_kafka_event(binary))) == said(event)


def binary(event: Event) -> tuple[list[tuple[str, bytes]], bytes]:
    """An event in binary mode, written by hand: payloads keep their text."""
    members = {name: raw for name, raw in json.loads(encode(event)).items() if name != "data"}
    data = encode(event).partition(b'"data":')[2][:-1]
    headers = [(f"ce_{name}", str(value).encode()) for name, value in members.items() if name != "datacontenttype"]
    return [*headers, ("content-type", b"application/json")], data


@given(events())
def test_any_event_is_the_same_in_binary_mode(event: Event) -> None:
    """Whatever is published, its binary form is the same event as its structured form."""
    headers, data = binary(event)
    assert decode(data, headers) == event


DATA = json.dumps(NAMES).encode()
HEADERS = {f"ce_{name}": value.encode() for name, value in ENVELOPE.items()}


def refusal(value: bytes, headers: dict[str, Any]) -> tuple[str, str]:
    """Why a record in binary mode is refused, and the field at fault."""
    with pytest.raises(InvalidEvent) as error:
        decode(value, headers.items())
    return error.value.reason, error.value.field


@pytest.mark.parametrize(
    ("value", "changes", "expected"),
    [
        (DATA, {"ce_id": None}, ("missing", "id")),
        (DATA, {"ce_id": b""}, ("empty", "id")),
        (DATA, {"ce_id": b"\xff"}, ("not_utf8", "id")),
        (DATA, {"ce_id": b"a\x00b"}, ("nul_character", "id")),
        (DATA, {"ce_type": None}, ("missing", "type")),
        (DATA, {"ce_type": b"workflow.execution.started.v2"}, ("unsupported_version", "type")),
        (DATA, {"ce_time": b"yesterday"}, ("not_a_time", "time")),
        (DATA, {"ce_specversion": b"0.3"}, ("literal_error", "specversion")),
        (b"", {}, ("empty", "")),
        (b"\xff", {}, ("not_utf8", "")),
        (b"[]", {}, ("not_an_object", "data")),
        (b"null", {}, ("missing", "data")),
        (b'{"workflow_id": "x"}', {}, ("missing", "data.temporal_workflow_id")),
        (b"{" * 600, {}, ("too_deep", "")),
        (b'{"a":1,"a":1}', {}, ("duplicate_name", "data.a")),
    ],
    ids=str,
)
def test_what_is_wrong_in_binary_mode_is_named(
    value: bytes, changes: dict[str, bytes | None], expected: tuple[str, str]
) -> None:
    """A wrong header or a wrong value in binary mode refuses the record with the reason and the field at fault."""
    assert refusal(value, {**HEADERS, **changes}) == expected


def test_a_null_value_in_binary_mode_is_a_tombstone() -> None:
    """A null value says nothing, whatever its headers say."""
    assert decode(None, HEADERS.items()) == Skipped("tombstone")


@pytest.mark.parametrize(
    "headers",
    [
        [("content-type", b"application/cloudevents+json; charset=utf-8"), *HEADERS.items()],
        [("Content-Type", b"application/cloudevents+json"), *HEADERS.items()],
        [("content-type", b"application/json")],
        [("content-type", b"\xff\x00")],
        [("content-type", None), ("traceparent", b"junk"), ("ce_id", b"other")],
        [("ce_specversion", None)],
        [],
    ],
    ids=str,
)
def test_the_value_speaks_unless_the_headers_hold_an_envelope(headers: list[tuple[str, bytes | None]]) -> None:
    """A record is read in structured mode if its content type says so, or if its headers hold no envelope."""
    assert decode(record(), headers) == decoded(record())


def test_of_repeated_headers_the_first_counts() -> None:
    """A header that comes twice counts as it came first, and names of headers know no case."""
    headers = [("CE_ID", b"first"), ("ce_id", b"second"), *HEADERS.items()]
    event = decode(DATA, headers)
    assert isinstance(event, Event)
    assert event.id == "first"


def test_a_thousand_headers_are_too_many() -> None:
    """A record with more than a thousand headers is refused before any of them is looked at."""
    headers = [("x", b"")] * 1_000
    assert decode(record(), headers) == decoded(record())
    with pytest.raises(InvalidEvent, match="too_many_headers"):
        decode(record(), [*headers, ("x", b"")])


def encoded_data(data: object) -> bytes:
    """A structured event whose data is given in base64, as the format allows."""
    return json.dumps({**ENVELOPE, "data_base64": data}).encode()


def test_data_in_base64_is_read() -> None:
    """A structured event may hold its data in base64."""
    assert decode(encoded_data(base64.b64encode(DATA).decode())) == decoded(record())


@pytest.mark.parametrize("data", ["%", 5, None, "e", "\ud800"])
def test_data_in_no_base64_is_refused(data: object) -> None:
    """Data that is said to be base64 and is not refuses the record."""
    with pytest.raises(InvalidEvent) as error:
        decode(encoded_data(data))
    assert error.value.field == "data_base64"
