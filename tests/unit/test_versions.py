"""A made-up next version of the contract: what the log holds of the one before is read for ever."""

from __future__ import annotations

import json

import pytest

from events import Event, InvalidEvent, Skipped, Verb, decode, encode
from events.examples import examples
from events.models import VERSION
from events.versions import VERSIONS, Members, Versions
from tests.unit.records import record


def from_v1(verb: str, members: Members) -> tuple[str, Members]:
    """What v2 changed, had today's models been its own: a verb and a field had other names in v1."""
    members = dict(members)
    if "task" in members:
        members["workflow_id"] = members.pop("task")
    return {"begun": "started"}.get(verb, verb), members


def from_v2(verb: str, members: Members) -> tuple[str, Members]:
    """What v3 changed: seconds became milliseconds."""
    seconds = members.get("duration_s")
    return verb, members | ({} if seconds is None else {"duration_ms": seconds + b"000"})


V2 = Versions(newest=2, upcasters={1: from_v1})
V3 = Versions(newest=3, upcasters={1: from_v1, 2: from_v2})
OLD = record({"workflow_id": ..., "task": "invoice", "duration_s": 5}, type="workflow.execution.begun.v1")


def test_an_event_of_an_older_version_is_read_as_the_newest_says_it() -> None:
    """A v1 event, with the verb and the field that v2 renamed, is the event that v2 would have published."""
    event = decode(OLD, versions=V2)
    assert isinstance(event, Event)
    assert (event.verb, event.data.workflow_id, event.data.duration_ms) == ("started", "invoice", None)


def test_upcasters_lead_from_version_to_version() -> None:
    """A v1 event reaches v3 by way of v2."""
    event = decode(OLD, versions=V3)
    assert isinstance(event, Event)
    assert (event.verb, event.data.workflow_id, event.data.duration_ms) == ("started", "invoice", 5000)


@pytest.mark.parametrize("verb", Verb)
def test_the_newest_version_is_read_as_it_stands(verb: Verb) -> None:
    """An event of the newest version goes through no upcaster."""
    value = encode(examples()[verb])
    assert decode(value.replace(b".v1", b".v2"), versions=V2) == decode(value)


@pytest.mark.parametrize("data", [b"null", b"[]", b'{"a":1,"a":2}'])
def test_an_unknown_version_is_not_blamed_on_its_data(data: bytes) -> None:
    """A version that is not read may have any data: the version is what is named."""
    value = OLD.replace(b".v1", b".v9").replace(b'"data":{', b'"data":%s,"was":{' % data)
    with pytest.raises(InvalidEvent, match="unsupported_version"):
        decode(value)


@pytest.mark.parametrize("version", ["0", "3", "99"])
def test_a_version_without_a_way_to_the_newest_is_refused(version: str) -> None:
    """A version that comes later, or that no upcaster leads on from, is refused and says what is read."""
    with pytest.raises(InvalidEvent, match="this consumer reads v2") as refusal:
        decode(OLD.replace(b".v1", f".v{version}".encode()), versions=V2)
    assert (refusal.value.reason, refusal.value.field) == ("unsupported_version", "type")


def test_a_verb_that_no_version_knows_is_skipped() -> None:
    """A verb that is unknown once it has become the newest version's is skipped."""
    assert decode(OLD.replace(b"begun", b"defrosted"), versions=V2) == Skipped("unknown_verb")


def test_a_payload_is_withheld_whatever_its_version() -> None:
    """What PostgreSQL cannot hold is withheld from an older event as from a new one."""
    value = record({"workflow_id": ..., "task": "invoice"}, raw={"input": r'"\u0000"'})
    event = decode(value, versions=V2)
    assert isinstance(event, Event)
    assert event.withheld.keys() == {"input"}


def test_today_there_is_one_version() -> None:
    """The version that is read is the one that is published, and no event needs an upcaster."""
    assert Versions(newest=VERSION, upcasters={}) == VERSIONS
    assert {json.loads(encode(event))["type"].rsplit(".v")[1] for event in examples().values()} == {str(VERSION)}
