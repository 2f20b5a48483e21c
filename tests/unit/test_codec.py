"""Records to events and back: what is refused and why, what is withheld, what is skipped, what is kept."""

from __future__ import annotations

import json
import re
import sys
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import Event, InvalidEvent, Skipped, decode, encode, fold, row
from events import limits as bounds
from events.models import ExecutionData, Progress
from events.payload import JsonText, Withheld
from tests.strategies import any_identifiers, events, json_texts
from tests.unit.records import ENVELOPE, NAMES, decoded, record, refused

NOT_EVENTS = {
    "empty": (b"", "empty"),
    "space": (b" \t\r\n", "empty"),
    "words": (b"hello", "not_json"),
    "cut off": (record()[:-10], "not_json"),
    "text behind it": (record() + b" x", "not_json"),
    "two values": (record() * 2, "not_json"),
    "NUL behind it": (record() + b"\x00", "not_json"),
    "a byte order mark": (b"\xef\xbb\xbf" + record(), "not_json"),
    "UTF-16": (record().decode().encode("utf-16"), "not_utf8"),
    "UTF-32": (record().decode().encode("utf-32-le"), "not_json"),
    "no UTF-8": (record(raw={"input": b'"\xff"'}), "not_utf8"),
    "an overlong NUL": (record(raw={"input": b'"\xc0\x80"'}), "not_utf8"),
    "CESU-8": (record(raw={"input": b'"\xed\xa0\x80"'}), "not_utf8"),
    "a NUL itself in a string": (record(raw={"input": b'"\x00"'}), "not_json"),
    "a control character in a string": (record(raw={"input": b'"\x01"'}), "not_json"),
    "a line end in a string": (record(raw={"input": '"\n"'}), "not_json"),
    "an array": (b"[%s]" % record(), "not_an_object"),
    "a string": (b'"%s"' % b"x", "not_an_object"),
    "a number": (b"1", "not_an_object"),
    "null": (b"null", "not_an_object"),
    "NaN": (b"NaN", "not_an_object"),
    "an array with NaN": (b"[NaN]", "not_an_object"),
    "Confluent's magic byte": (b"\x00\x00\x00\x00\x01" + record(), "not_json"),
    "gzip": (b"\x1f\x8b\x08\x00\x00", "not_utf8"),
    "a comment": (b"/**/" + record(), "not_json"),
    "a comma too many": (record().replace(b'"}}', b'",}}'), "not_json"),
    "single quotes": (b"{'a':1}", "not_json"),
    "NaN, cut off": (b'{"a":NaN', "not_json"),
    "NaN, and text behind it": (b'{"a":NaN} x', "not_json"),
    "a hundred thousand brackets": (b"[" * 100_000, "too_deep"),
    "a hundred thousand objects": (b'{"a":' * 100_000, "too_deep"),
}


@pytest.mark.parametrize(("value", "reason"), NOT_EVENTS.values(), ids=NOT_EVENTS.keys())
def test_what_is_no_event_is_refused(value: bytes, reason: str) -> None:
    """Bytes that are no JSON object are refused as a whole."""
    assert refused(value) == (reason, "")


NOT_JSON = ["01", "+1", "1.", ".5", "0x10", "1e", "--1", "-", "'a'", r'"\x41"', r'"\u12"', "[1,]", "[1 2]", "nan"]


@pytest.mark.parametrize("text", [*NOT_JSON, "tru", "{1:2}", '{"a" 1}', "// x\n1", "[]]", "", '"a', "inf", "NaN1"])
def test_what_is_no_json_in_a_payload_is_refused(text: str) -> None:
    """A payload that is no JSON makes the record no JSON, for nobody can say where it ends."""
    assert refused(record(raw={"input": text}))[0] == "not_json"


ENVELOPES: list[tuple[dict[str, Any], str, str]] = [
    ({"specversion": ...}, "missing", "specversion"),
    ({"specversion": None}, "missing", "specversion"),
    ({"specversion": "0.3"}, "literal_error", "specversion"),
    ({"specversion": 1.0}, "literal_error", "specversion"),
    ({"id": ...}, "missing", "id"),
    ({"id": ""}, "empty", "id"),
    ({"id": 1}, "not_a_string", "id"),
    ({"id": "a\x00"}, "nul_character", "id"),
    ({"id": "\ud800"}, "lone_surrogate", "id"),
    ({"id": "x" * 513}, "too_long", "id"),
    ({"id": "é" * 257}, "too_long", "id"),
    ({"source": ...}, "missing", "source"),
    ({"source": None}, "not_a_string", "source"),
    ({"type": ...}, "missing", "type"),
    ({"type": None}, "unknown_type", "type"),
    ({"type": 5}, "unknown_type", "type"),
    ({"type": "completed"}, "unknown_type", "type"),
    ({"type": "workflow.execution.Completed.v1"}, "unknown_type", "type"),
    ({"type": "workflow.execution.completed.v1\n"}, "unknown_type", "type"),
    ({"type": "workflow-execution-completed.v1"}, "unknown_type", "type"),
    ({"type": "workflow.execution.completed"}, "unknown_type", "type"),
    ({"type": "workflow.execution.completed.v2"}, "unsupported_version", "type"),
    ({"type": "workflow.execution.exploded.v10"}, "unsupported_version", "type"),
    ({"type": "\x00"}, "unknown_type", "type"),
    ({"type": "\ud800"}, "lone_surrogate", "type"),
    ({"subject": 5}, "not_a_string", "subject"),
    ({"partitionkey": 5}, "not_a_string", "partitionkey"),
    ({"sequence": 5}, "not_a_string", "sequence"),
    ({"traceparent": []}, "not_a_string", "traceparent"),
]


@pytest.mark.parametrize(("envelope", "reason", "field"), ENVELOPES, ids=lambda x: ascii(x)[:60])
def test_what_is_wrong_in_the_envelope_is_named(envelope: dict[str, Any], reason: str, field: str) -> None:
    """A record with a wrong envelope is refused with a reason and the field at fault."""
    assert refused(record(**envelope)) == (reason, field)


DATA: list[tuple[dict[str, Any], str, str]] = [
    ({"workflow_id": ...}, "missing", "data.workflow_id"),
    ({"workflow_id": None}, "missing", "data.workflow_id"),
    ({"temporal_workflow_id": ""}, "empty", "data.temporal_workflow_id"),
    ({"temporal_workflow_id": 1}, "not_a_string", "data.temporal_workflow_id"),
    ({"temporal_run_id": "x\x00y"}, "nul_character", "data.temporal_run_id"),
    ({"namespace": "\udc00"}, "lone_surrogate", "data.namespace"),
    ({"user_id": "x" * 513}, "too_long", "data.user_id"),
    ({"actor": {}}, "not_a_string", "data.actor"),
    ({"attempt": 0}, "greater_than_equal", "data.attempt"),
    ({"attempt": -1}, "greater_than_equal", "data.attempt"),
    ({"attempt": 2**31}, "less_than_equal", "data.attempt"),
    ({"attempt": True}, "not_an_integer", "data.attempt"),
    ({"attempt": 1.0}, "not_an_integer", "data.attempt"),
    ({"attempt": "1"}, "not_an_integer", "data.attempt"),
    ({"duration_ms": 1.5}, "not_an_integer", "data.duration_ms"),
    ({"duration_ms": "12"}, "not_an_integer", "data.duration_ms"),
    ({"duration_ms": True}, "not_an_integer", "data.duration_ms"),
    ({"duration_ms": -1}, "greater_than_equal", "data.duration_ms"),
    ({"duration_ms": 2**53}, "less_than_equal", "data.duration_ms"),
    ({"duration_ms": 2**64}, "less_than_equal", "data.duration_ms"),
    ({"duration_ms": float("nan")}, "not_finite", "data.duration_ms"),
    ({"activities_executed": 2**31}, "less_than_equal", "data.activities_executed"),
    ({"authority": "king"}, "enum", "data.authority"),
    ({"authority": 1}, "enum", "data.authority"),
    ({"revises": True}, "revises_needs_server", "data.revises"),
    ({"revises": 1}, "bool_type", "data.revises"),
    ({"authority": "inferred"}, "attempt_not_stated", "data.attempt"),
    ({"authority": "operator", "completed_at": "2026-01-01T00:00:00Z"}, "attempt_not_stated", "data.attempt"),
    ({"authority": "operator", "attempt": 1}, "completed_at_not_stated", "data.completed_at"),
    ({"error": "boom"}, "model_type", "data.error"),
    ({"error": {}}, "missing", "data.error.message"),
    ({"error": {"message": 1}}, "not_a_string", "data.error.message"),
    ({"progress": {"done": -1}}, "greater_than_equal", "data.progress.done"),
    ({"progress": []}, "model_type", "data.progress"),
    ({"labels": {"a": 1}}, "not_a_string", "data.labels"),
    ({"labels": ["a"]}, "dict_type", "data.labels"),
    ({"labels": {str(n): "" for n in range(65)}}, "too_many_labels", "data.labels"),
    ({"reason": 1}, "not_a_string", "data.reason"),
    ({"reason": "x" * 8193}, "too_long", "data.reason"),
    ({"reason": "é" * 4097}, "too_long", "data.reason"),
    ({"parent": {"temporal_workflow_id": "p"}}, "missing", "data.parent.temporal_run_id"),
    (
        {"root": {"temporal_workflow_id": "p\x00", "temporal_run_id": "1"}},
        "nul_character",
        "data.root.temporal_workflow_id",
    ),
    ({"started_at": "2026-01-01T00:00:00"}, "naive_time", "data.started_at"),
    ({"completed_at": "1999-12-31T23:59:59.999999Z"}, "time_out_of_range", "data.completed_at"),
    ({"scheduled_for": 1_700_000_000}, "not_a_time", "data.scheduled_for"),
]


@pytest.mark.parametrize(("data", "reason", "field"), DATA, ids=lambda x: ascii(x)[:60])
def test_what_is_wrong_in_the_data_is_named(data: dict[str, Any], reason: str, field: str) -> None:
    """A record with a field that the contract does not allow is refused with a reason and the path of the field."""
    assert refused(record(data)) == (reason, field)


@pytest.mark.parametrize("data", [..., None])
def test_an_event_without_data_is_refused(data: object) -> None:
    """A record that says nothing of an execution is refused."""
    assert refused(record().replace(b'"data":', b'"dota":' if data is ... else b'"data":null,"dota":')) == (
        "missing",
        "data",
    )


def test_data_that_is_no_object_is_refused() -> None:
    """A record whose data is an array is refused, and names it."""
    assert refused(json.dumps({**ENVELOPE, "data": []}).encode()) == ("not_an_object", "data")


@pytest.mark.parametrize(
    "data",
    [
        {"workflow_id": "x" * 512, "user_id": "é" * 256, "reason": "x" * 8192, "actor": "y"},
        {"attempt": 2**31 - 1, "duration_ms": 2**53 - 1, "activities_executed": 2**31 - 1},
        {"duration_ms": 0, "activities_executed": 0, "timeout_ms": 0},
        {"labels": {str(n): "" for n in range(64)}, "reason": "é" * 4096},
        {"started_at": "2000-01-01T00:00:00Z", "completed_at": "2099-12-31T23:59:59.999999Z"},
        {"namespace": "'; DROP TABLE users; --", "user_id": "../\u202e\u200b\n\t\"'"},
    ],
    ids=lambda data: next(iter(data)),
)
def test_what_lies_on_a_bound_is_allowed(data: dict[str, Any]) -> None:
    """Values on the bounds of the contract, and ids with any character but NUL, are allowed and kept."""
    found = decoded(record(data)).data
    kept = {name: getattr(found, name) for name in data}
    assert {n: v.isoformat() if isinstance(v, datetime) else v for n, v in kept.items()} == {
        n: v.replace("Z", "+00:00") if n.endswith("_at") else v for n, v in data.items()
    }


def test_ids_are_never_normalised() -> None:
    """Two ids that look the same and are not spelled the same are two ids."""
    composed, decomposed = (decoded(record({"temporal_run_id": text})) for text in ("\u00e9", "e\u0301"))
    assert composed.execution_id != decomposed.execution_id


TIMES = {
    "2026-01-02T03:04:05Z": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "2026-01-02t03:04:05z": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "2026-01-02 03:04:05+00:00": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "2026-01-02T05:04:05.5+02:00": datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC),
    "2026-01-01T23:34:05-03:30": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "2026-01-02T03:04:05.123456789Z": datetime(2026, 1, 2, 3, 4, 5, 123_456, tzinfo=UTC),
    "2026-01-02T03:04:05.9999999999999Z": datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC),
    "2024-02-29T00:00:00-00:00": datetime(2024, 2, 29, tzinfo=UTC),
    "2000-01-01T00:00:00Z": datetime(2000, 1, 1, tzinfo=UTC),
    "2099-12-31T23:59:59.999999Z": datetime(2099, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
}


@pytest.mark.parametrize(("text", "time"), TIMES.items())
def test_a_time_is_read_to_the_microsecond_in_utc(text: str, time: datetime) -> None:
    """Every spelling of RFC 3339 gives its instant in UTC; what is finer than a microsecond is cut off."""
    found = decoded(record(time=text)).time
    assert (found, found.tzinfo) == (time, UTC)


NOT_TIMES: dict[object, str] = {
    "2026-01-02T03:04:05": "naive_time",
    "2026-01-02 03:04:05.123": "naive_time",
    "2026-01-02": "not_a_time",
    "2026-W01-1": "not_a_time",
    "2026-01-02T03:04Z": "not_a_time",
    "2026-01-02T03:04:05+0000": "not_a_time",
    "2026-01-02T24:00:00Z": "not_a_time",
    "2026-01-02T23:59:60Z": "not_a_time",
    "2026-02-30T00:00:00Z": "not_a_time",
    "2026-13-01T00:00:00Z": "not_a_time",
    "2026-01-02T03:04:05+99:99": "not_a_time",
    "2026-01-02T03:04:05.Z": "not_a_time",
    "٢٠٢٦-01-02T03:04:05Z": "not_a_time",
    " 2026-01-02T03:04:05Z": "not_a_time",
    "10000-01-01T00:00:00Z": "not_a_time",
    "0000-01-01T00:00:00Z": "not_a_time",
    "infinity": "not_a_time",
    "1700000000": "not_a_time",
    1_700_000_000: "not_a_time",
    -62_135_596_801: "not_a_time",
    1.5: "not_a_time",
    True: "not_a_time",
    None: "not_a_time",
    "0001-01-01T00:00:00+14:00": "time_out_of_range",
    "1970-01-01T00:00:00Z": "time_out_of_range",
    "1999-12-31T23:59:59.999999Z": "time_out_of_range",
    "2000-01-01T00:00:00+00:01": "time_out_of_range",
    "2100-01-01T00:00:00Z": "time_out_of_range",
    "9999-12-31T23:59:59.999999-12:00": "time_out_of_range",
}


@pytest.mark.parametrize(("value", "reason"), NOT_TIMES.items())
def test_what_is_no_instant_is_refused(value: object, reason: str) -> None:
    """A time without an offset, outside the calendar or the contract's century, or no text at all, is refused."""
    assert refused(record(time=value)) == (reason, "time")


@pytest.mark.parametrize(
    "text", ["18446744073709551616", "-1.23456789012345678901234567890", "1.0", "-0", "1E5", "1.10"]
)
def test_numbers_in_payloads_keep_every_digit(text: str) -> None:
    """A payload's text is kept digit for digit, through decoding, encoding and decoding again."""
    event = decoded(record(raw={"input": f'{{"n": {text}}}', "output": text}))
    again = decoded(encode(event))
    assert (event.data.input, event.data.output) == (f'{{"n": {text}}}', text)
    assert (again.data.input, again.data.output) == (event.data.input, event.data.output)


PAYLOADS_WITHHELD = [
    ("input", "NaN", "not_finite"),
    ("output", "[1, -Infinity]", "not_finite"),
    ("input", r'{"\ud800": 1}', "lone_surrogate"),
    ("reason", r'"\ud800"', "lone_surrogate"),
    ("reason", r'"\u0000"', "nul_character"),
    ("labels", r'{"a\u0000": "b"}', "nul_character"),
    ("error", r'{"message": "\u0000"}', "nul_character"),
    ("error", r'{"message": "E", "stack_trace": "\udc00"}', "lone_surrogate"),
    ("progress", '{"done": NaN}', "not_finite"),
    ("progress", '{"done": 1e400}', "number_too_long"),
    ("output", "[NaN, " + "1" * 5000 + "]", "not_finite"),
    ("input", "9" * 5000, "number_too_long"),
    ("input", "[" * 101 + "]" * 101, "too_deep"),
    ("input", "[" * 498 + "]" * 498, "too_deep"),
    ("output", '"' + "x" * 262_143 + '"', "too_large"),
]


@pytest.mark.parametrize(("field", "text", "code"), PAYLOADS_WITHHELD, ids=lambda text: ascii(text)[:40])
def test_what_postgresql_cannot_hold_is_withheld(field: str, text: str, code: str) -> None:
    """An event with a payload that PostgreSQL cannot hold stands, with a marker in the payload's place."""
    event = decoded(record(raw={field: text, "duration_ms": "5"}))
    marker = Withheld.of(text.encode(), code)
    assert event.withheld == {field: marker}
    assert (event.verb, event.data.duration_ms) == ("completed", 5)
    assert row(fold([event])).status == "completed"


def test_every_withheld_payload_is_named() -> None:
    """Several withheld payloads of one event are all named, and the others are kept."""
    event = decoded(record(raw={"input": "NaN", "output": "1", "error": '{"message":"\\u0000"}'}))
    assert set(event.withheld) == {"input", "error"}
    assert event.data.output == "1"


FORGED = {"code": "E", "size": 1, "sha256": "x"}


def test_a_marker_cannot_be_forged() -> None:
    """An object that looks like our own marker is taken for what it says, never for a withheld payload."""
    assert decoded(record({"progress": FORGED | {"done": 1}})).data.progress == Progress(done=1)
    assert refused(record({"error": FORGED})) == ("missing", "data.error.message")
    assert refused(record({"labels": FORGED})) == ("not_a_string", "data.labels")
    assert refused(record({"reason": FORGED})) == ("not_a_string", "data.reason")


def test_a_marker_in_a_payload_is_a_payload() -> None:
    """An input in the shape of a stored marker is kept as any other input."""
    assert decoded(record({"input": {"$withheld": "x"}})).withheld == {}


@pytest.mark.parametrize("done", [2**64, 10**39, 1e22, 0.5])
def test_progress_may_be_any_number_that_is_kept(done: float) -> None:
    """Progress counts in integers beyond 64 bits and in fractions, and shows them as they came."""
    shown = row(fold([decoded(record({"progress": {"done": done}}))]))
    assert shown.progress == {"done": done}


def test_a_tombstone_is_skipped() -> None:
    """A null value says nothing and is skipped under its name."""
    assert decode(None) == Skipped("tombstone")


@pytest.mark.parametrize("rest", [{}, {"id": ..., "time": "x"}])
def test_a_verb_of_a_later_publisher_is_skipped(rest: dict[str, Any]) -> None:
    """An unknown verb of v1 is skipped, whatever else its record holds."""
    assert decode(record(type="workflow.execution.defrosted.v1", **rest)) == Skipped("unknown_verb")


def test_unknown_fields_are_ignored() -> None:
    """Fields that this version does not know are ignored wherever they stand, whatever they hold."""
    value = record({"new": 1, "error": {"message": "E", "new": 2}}, raw={"newer": r'["\ud800", NaN]'}, comnew={"a": 1})
    event = decoded(value)
    assert event.data.error is not None
    assert event == decoded(record({"error": {"message": "E"}}))


def test_null_is_not_carried() -> None:
    """A field that is null is as good as absent, so that it feeds no register and hides no default."""
    nothing = {
        "namespace": None,
        "attempt": None,
        "authority": None,
        "input": None,
        "orchestrator": None,
        "error": None,
    }
    event = decoded(record(nothing))
    assert event == decoded(record())
    assert not event.data.states("orchestrator")
    assert not event.data.states("attempt")


TWICE = {
    "id": record().replace(b'"id"', b'"id":"e1","id"'),
    "data": record().replace(b'"data"', b'"data":{},"data"'),
    "data.user_id": record({"user_id": "ada"}).replace(b'"user_id"', b'"user_id":"zero","user_id"'),
    "data.attempt": record({"attempt": 1}).replace(b'"attempt"', b'"attempt":1 , "attempt"'),
    "data.input": record({"input": 1}).replace(b'"input"', b'"input":NaN,"input"'),
    "data.new": record({"new": 1}).replace(b'"new"', b'"n\\u0065w":[1],"new"'),
    "new": record(new="x").replace(b'"new"', b'"new":"y","new"'),
}


@pytest.mark.parametrize(("field", "value"), TWICE.items(), ids=TWICE.keys())
def test_a_name_that_stands_twice_is_refused(field: str, value: bytes) -> None:
    """Nobody can say which of two members is meant, so a record that says something twice is refused and names it."""
    assert refused(value) == ("duplicate_name", field)


def test_in_a_payload_a_name_may_stand_twice() -> None:
    """Inside a payload the last of two members counts, as in PostgreSQL, and its text is kept."""
    said: dict[str, str | bytes] = {
        "input": '{"a":1,"a":2}',
        "error": '{"message":"x","message":"y"}',
        "labels": '{"a":"","a":"1"}',
    }
    event = decoded(record(raw=said))
    assert (event.data.input, event.data.labels) == ('{"a":1,"a":2}', {"a": "1"})
    assert row(fold([event])).input == {"a": 2}


def test_headers_say_nothing() -> None:
    """Headers of any kind change nothing about an event."""
    assert decode(record(), [("content-type", b"\xff"), ("content-type", b"x")]) == decode(record())


@pytest.mark.parametrize("value", ["1", "NaN"])
def test_space_is_allowed_between_everything(value: str) -> None:
    """A record with every kind of space that JSON allows is read, by the quick reader and the patient one."""
    spaced = re.sub(r'([{}:,])(?=["{}]|$)', "\r\n \\1 \t", record(raw={"user_id": '"ada"', "labels": "{ }"}).decode())
    spaced = spaced.replace("{ }", f'{{ }} , "new" \t: {value} ')
    event = decoded(f" \n{spaced}\t ".encode())
    assert (event.data.user_id, event.data.labels) == ("ada", {})


def test_a_record_may_have_a_megabyte_and_no_more() -> None:
    """A record of exactly the limit is read, and one more byte refuses it."""
    bare = len(record({"new": ""}))
    fits = record({"new": "x" * (bounds.RECORD_BYTES_MAX - bare)})
    assert len(fits) == bounds.RECORD_BYTES_MAX
    assert decoded(fits).verb == "completed"
    assert refused(fits + b" ") == ("too_large", "")


def test_the_depth_of_a_record_is_bounded_by_a_constant() -> None:
    """A record of depth 500 is read and one of 501 refused, however deep the caller's own stack is."""
    inner = bounds.RECORD_DEPTH_MAX - 2  # the record and its data are two
    fits, too_deep = (record(raw={"input": "[" * n + "]" * n}) for n in (inner, inner + 1))
    outcomes = []

    def call(depth: int) -> None:
        if depth:
            call(depth - 1)
        else:
            outcomes.append((decoded(fits).withheld["input"].code, refused(too_deep)))

    # A thread begins with an empty stack, so the depth is that of this test alone.
    for depth in (0, sys.getrecursionlimit() - 600):
        thread = threading.Thread(target=call, args=(depth,))
        thread.start()
        thread.join()
    assert outcomes == [("too_deep", ("too_deep", ""))] * 2


@given(events())
def test_what_is_encoded_is_decoded_again(event: Event) -> None:
    """Any event survives encoding and decoding: the same fields, the same stated defaults, the same bytes again."""
    value = encode(event)
    again = decoded(value)
    assert again == event
    assert {n for n in ("attempt", "orchestrator") if again.data.states(n)} == {
        n for n in ("attempt", "orchestrator") if event.data.states(n)
    }
    assert encode(again) == value
    assert fold([again]) == fold([event])


@given(any_identifiers, any_identifiers, json_texts)
def test_any_id_and_any_payload_survive(run: str, user: str, text: JsonText) -> None:
    """Any id without NUL, and the very text of any payload, come out of a record as they went in."""
    made = decoded(record({"temporal_run_id": run, "user_id": user}, raw={"input": text}))
    again = decoded(encode(made))
    assert (again.data.temporal_run_id, again.data.user_id, again.data.input) == (run, user, text)


def test_an_event_is_encoded_as_structured_cloudevents() -> None:
    """Encoding gives one JSON object with the attributes of CloudEvents 1.0 and only the fields that were stated."""
    event = decoded(record({"attempt": 2}, subject="s", traceparent="00-1-2-3"))
    assert json.loads(encode(event)) == {
        **ENVELOPE,
        "subject": "s",
        "traceparent": "00-1-2-3",
        "datacontenttype": "application/json",
        "data": {**NAMES, "attempt": 2},
    }


DATA_FIELDS = sorted(ExecutionData.model_fields)
mutations = st.lists(
    st.tuples(
        st.integers(0, 400), st.sampled_from([b"", b'"', b"{", b"}", b",", b":", b"\\", b"NaN", b"\x00", b"1e9"])
    ),
    max_size=3,
)


@given(events(), mutations, st.integers(0, 600))
def test_no_bytes_crash_the_decoder(event: Event, changes: list[tuple[int, bytes]], end: int) -> None:
    """Damaged records end as an event that folds, as a skip, or as a refusal with a reason, and never otherwise."""
    value = encode(event)
    for at, piece in changes:
        value = value[:at] + piece + value[at + 1 :]
    outcome: object
    try:
        outcome = decode(value[:end] if end < 100 else value)
    except InvalidEvent as error:
        outcome = error.reason
    assert row(fold([outcome])).status if isinstance(outcome, Event) else outcome
