"""The short way of decoding says of a record what the long way says, or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import Authority, Event, InvalidEvent, Skipped, Verb, decode, encode, limits, ordinary
from events.examples import examples
from events.fold import state_of
from events.ordinary import BYTES_MAX, ordinary_event
from events.versions import Versions
from events.vocabulary import VERBS
from tests.strategies import any_identifiers, events, json_texts, json_values
from tests.unit import test_codec as codec
from tests.unit.records import record

Outcome = Event | Skipped | tuple[str, str]


def outcome(value: bytes, **options: Any) -> Outcome:
    """What becomes of a record: an event, a skip, or a reason and a field."""
    try:
        return decode(value, **options)
    except InvalidEvent as error:
        return error.reason, error.field


def the_long_way(value: bytes) -> Outcome:
    """What becomes of a record if the short way is not taken, as with versions that it does not know."""
    return outcome(value, versions=Versions())


def agree(value: bytes) -> None:
    """See both ways end alike: in the same event to the last private part, or in the same refusal."""
    short, long = outcome(value), the_long_way(value)
    assert short == long
    if isinstance(short, Event) and isinstance(long, Event):
        assert repr(short) == repr(long)
        for part, other in ((short, long), (short.data, long.data)):
            assert part.model_fields_set == other.model_fields_set
            assert list(part.__dict__) == list(type(part).model_fields)
        assert short.model_copy() == long.model_copy()
        assert encode(short) == encode(long)
        assert state_of(short) == state_of(long)
        assert short.withheld == long.withheld


@pytest.mark.parametrize("verb", Verb)
def test_examples_are_ordinary(verb: Verb) -> None:
    """The example of every verb goes the short way, but for the end that an operator declares."""
    event = examples()[verb]
    declared = VERBS[verb].terminal and event.data.authority is Authority.OPERATOR
    assert (ordinary_event(encode(event)) is None) == declared
    agree(encode(event))


@given(events())
def test_both_ways_give_the_same_event(event: Event) -> None:
    """Whatever event is published, both ways give the same, in compact JSON and in spaced."""
    agree(encode(event))
    agree(json.dumps(json.loads(encode(event)), ensure_ascii=False, indent=1).encode())


STRANGE: dict[str, Any] = {
    **{f"no event: {name}": value for name, (value, _) in codec.NOT_EVENTS.items()},
    **{f"no JSON: {text}": record(raw={"input": text}) for text in codec.NOT_JSON},
    **{f"envelope: {ascii(said)[:50]}": record(**said) for said, _, _ in codec.ENVELOPES},
    **{f"data: {ascii(said)[:50]}": record(said) for said, _, _ in codec.DATA},
    **{f"time: {time}": record(time=time) for time in (*codec.TIMES, *codec.NOT_TIMES)},
    **{f"start: {time}": record({"started_at": time}) for time in (*codec.TIMES, *codec.NOT_TIMES)},
    **{f"withheld: {name} {text[:30]}": record(raw={name: text}) for name, text, _ in codec.PAYLOADS_WITHHELD},
}


@pytest.mark.parametrize("value", STRANGE.values(), ids=STRANGE.keys())
def test_both_ways_end_alike_for_what_is_strange(value: bytes) -> None:
    """What is no event, what is wrong in one and what must be withheld ends the same both ways."""
    agree(value)


BORDERS = [
    record({"workflow_id": "x" * n}) for n in (1, 128, 129, 512, 513)
] + [
    record({"workflow_id": "é" * 200, "user_id": "😀" * 128}),
    record({"user_id": None, "attempt": None, "input": None, "error": None, "parent": None, "labels": None}),
    record(subject=None, datacontenttype=None),
    record(datacontenttype=5, new={"a": "b"}),
    record({"reason": "x" * 2049}),
    record({"reason": 'she said "no"'}),
    record({"labels": {"b": "2", "a": '"'}, "new": "x"}),
    record({"labels": {"k" * 256: ""}}),
    record({"labels": {"é" * 1000: ""}}),
    record({"labels": {str(n): "" for n in range(64)}}),
    record({"progress": {"done": 1, "total": 2.5, "message": "half", "new": 1}}),
    record({"progress": {"done": -0.0}}),
    record({"progress": {}}),
    record({"error": {"message": "E", "retryable": None, "new": [1e22]}}),
    record({"parent": {"temporal_workflow_id": "p", "temporal_run_id": "1", "namespace": None}}),
    record({"parent": {"temporal_workflow_id": "p", "temporal_run_id": "1", "new": "x"}}),
    record(raw={"parent": '{"temporal_workflow_id":"p","temporal_run_id":"1","new":1e400}'}),
    record(raw={"error": '{"message":"E","new":1e400}'}),
    record(raw={"new": "1e400"}),
    record(raw={"new": "[" * 99 + "]" * 99}),
    record(raw={"new": "[" * 400 + "]" * 400}),
    record(raw={"input": '"7e15-9e99"', "output": "1e39"}),
    record(raw={"input": '{"%s": 1}' % ("k" * 1025)}),
    record(raw={"input": r'{"a\"b": "\\u0000"}', "reason": r'"\u00e9\ud83d\ude00"'}),
    record(raw={"input": '"%s"' % ("x" * BYTES_MAX)}),
    record({"authority": "inferred", "attempt": 1}),
    record({"authority": "operator", "attempt": 1, "completed_at": "2026-01-01T00:00:00Z"}),
    record({"authority": "operator"}, type="workflow.execution.paused.v1"),
    record({"authority": "server", "revises": True}),
    record({"authority": "server", "revises": False}),
    record(id="a", type="workflow.execution.defrosted.v1"),
    record().replace(b'"id":', b'"\\u0069d":'),
    record().replace(b'"id":"e1"', b'"id":"e1","id":"e1"'),
    record({"user_id": "ada"}).replace(b'"user_id"', b'"user_id":"x" ,\n "user_id"'),
    record({"new": 1}).replace(b'"new"', b'"new":1,"new"'),
    record().replace(b'"data":', b'"data":{},"data":'),
    record().replace(b'"id":"e1"', b'"id":"e1","datacontenttype":"a","datacontenttype":"b"'),
    record().replace(b'"id":', b'"subject":null,"subject":null,"id":'),
    record().replace(b'"data":', b'"subject":null,"data":5,"data":'),
    record(raw={"user_id": "null"}).replace(b'"user_id"', b'"user_id":null,"user_id"'),
    record(raw={"user_id": "null", "attempt": "2"}).replace(b'"attempt"', b'"attempt":7,"attempt"'),
    record(raw={"user_id": "null", "actor": "null", "temporal_run_id": '"other"'}),
    record(raw={"labels": "null", "input": "null", "error": "null", "progress": "null", "parent": "null"}),
    record(raw={"parent": '{"temporal_workflow_id":"p","temporal_run_id":"1","namespace":null,"x":1e400}'}),
]  # fmt: skip


@pytest.mark.parametrize("value", BORDERS, ids=lambda value: repr(value[120:200]))
def test_both_ways_end_alike_on_the_borders(value: bytes) -> None:
    """Where the short way ends and the long way takes over, nobody can tell."""
    agree(value)


HIDING = st.sampled_from(["user_id", "actor", "input", "parent", "labels", "queue", "attempt", "duration_ms", "new"])


@given(st.lists(HIDING, max_size=4), st.lists(HIDING, max_size=3), st.booleans())
def test_a_null_hides_no_name_that_stands_twice(nulls: list[str], numbers: list[str], in_envelope: bool) -> None:
    """However many nulls and bare values there are, a name that stands twice or that nobody knows is counted."""
    said = [f'"{name}":null' for name in nulls] + [f'"{name}":1' for name in numbers]
    value = record().replace(b'"workflow_id"', "".join(f"{member}," for member in said).encode() + b'"workflow_id"')
    if in_envelope:
        value = value.replace(b'"id":', b'"subject":null,"sequence":null,"id":"e1","id":')
    agree(value)


def test_the_envelope_that_is_read_at_once_is_that_of_the_models() -> None:
    """A field that is added to the envelope must be read at once as well."""
    model = Event.model_fields.keys() - {"verb", "data"}
    assert ordinary._Envelope.__annotations__.keys() == model | {"type", "datacontenttype", "data"}


anything = st.recursive(
    json_values | st.sampled_from([2**64, -1, 1.5, True, "1", "", "x" * 513, "2026-01-01T00:00:00Z", "server"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["message", "done", "a"]), inner),
    max_leaves=4,
)


@given(events(), st.sampled_from(sorted(Event.model_fields)), st.sampled_from(codec.DATA_FIELDS), anything, anything)
def test_both_ways_end_alike_for_any_value_in_any_field(
    event: Event, name: str, field: str, value: object, other: object
) -> None:
    """Any JSON in any field of the envelope or of the data ends the same both ways."""
    members = json.loads(encode(event))
    agree(json.dumps({**members, name: value}).encode())
    agree(json.dumps({**members, "data": {**members["data"], field: other}}, ensure_ascii=False).encode())


@given(events(), codec.mutations)
def test_both_ways_end_alike_for_damaged_records(event: Event, changes: list[tuple[int, bytes]]) -> None:
    """Damaged records end the same both ways."""
    value = encode(event)
    for at, piece in changes:
        value = value[:at] + piece + value[at + 1 :]
    agree(value)


@given(any_identifiers, any_identifiers, json_texts)
def test_both_ways_keep_any_id_and_any_payload(run: str, user: str, text: str) -> None:
    """Any id without NUL and any payload come out of both ways alike."""
    agree(record({"temporal_run_id": run, "user_id": user}, raw={"input": text}))


def test_what_is_short_in_characters_is_short_in_bytes() -> None:
    """The longest name of the widest characters that goes the short way is within the contract's bytes."""
    longest = "😀" * (limits.IDENTIFIER_BYTES_MAX // 4)
    fits, too_long = (record(raw={"user_id": f'"{name}"'.encode()}) for name in (longest, longest + "x"))
    assert ordinary_event(fits) is not None
    assert ordinary_event(too_long) is None
    agree(too_long)
