"""An event that breaks a rule of the contract cannot be made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from events import Event, InvalidEvent
from events.codec import validate
from events.models import ErrorInfo, Progress, parse_time, stored_json
from events.payload import JsonText, Withheld
from tests.lives import at, event
from tests.strategies import TERMINAL_VERBS


@pytest.mark.parametrize("verb", TERMINAL_VERBS)
def test_operators_and_guesses_say_which_attempt(verb: str) -> None:
    """A terminal event of an operator or a sweeper must state its attempt, and an operator's its end as well."""
    for authority in ("operator", "inferred"):
        with pytest.raises(InvalidEvent, match="attempt_not_stated") as caught:
            event(verb, authority=authority, completed_at=at(0))
        assert caught.value.field == "data.attempt"
    with pytest.raises(InvalidEvent, match="completed_at_not_stated"):
        event(verb, authority="operator", attempt=1)
    assert event(verb, authority="inferred", attempt=1).verb == verb
    assert event(verb, authority="operator", attempt=1, completed_at=at(0)).verb == verb


@pytest.mark.parametrize("verb", ["started", "retrying", "deleted", "cancel_requested"])
def test_other_events_of_operators_need_nothing_more(verb: str) -> None:
    """An operator's or a sweeper's event that ends nothing needs neither attempt nor end."""
    for authority in ("operator", "inferred"):
        assert event(verb, authority=authority).data.attempt == 1


@pytest.mark.parametrize("authority", ["inferred", "worker", "operator"])
def test_only_a_server_revises(authority: str) -> None:
    """`revises` is for sources of authority server, and for no other."""
    with pytest.raises(InvalidEvent, match="revises_needs_server"):
        event("started", authority=authority, revises=True)
    assert event("started", authority=authority, revises=False).data.revises is False
    assert event("started", authority="server", revises=True).data.revises is True


def test_an_event_is_frozen() -> None:
    """Nothing about an event can be changed once it is made."""
    made: Any = event("started")
    with pytest.raises(ValidationError, match="frozen"):
        made.verb = "failed"
    with pytest.raises(ValidationError, match="frozen"):
        made.data.attempt = 2


def test_errors_do_not_show_what_was_wrong() -> None:
    """The message of a refusal names the field and the rule, never the value, which may be a secret."""
    with pytest.raises(InvalidEvent) as caught:
        event("started", user_id=["s3cret"])
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ValidationError) as raw:
        Event.model_validate({"id": ["s3cret"]})
    assert "s3cret" not in str(raw.value)


def test_the_first_error_is_told() -> None:
    """Of several wrong fields one is named, with its reason and in words."""
    with pytest.raises(InvalidEvent) as caught:
        validate({"source": "s", "verb": "started", "time": at(0), "data": {}})
    assert (caught.value.reason, caught.value.field) == ("missing", "id")
    assert str(caught.value) == "missing in id: Field required"
    assert str(InvalidEvent("empty")) == "empty"


def test_times_may_be_given_as_instants() -> None:
    """A publisher hands over datetimes with any offset; naive ones and other types are refused."""
    elsewhere = timezone(timedelta(hours=5, minutes=45))
    assert parse_time(datetime(2026, 1, 1, 5, 45, tzinfo=elsewhere)) == at(0)
    assert parse_time(datetime(2026, 1, 1, 5, 45, tzinfo=elsewhere)).tzinfo is UTC
    for wrong in (datetime(2026, 1, 1), datetime.max.replace(tzinfo=UTC), at(0).date(), 0):  # noqa: DTZ001 - that is the point
        with pytest.raises(InvalidEvent):
            event("started", started_at=wrong)


def test_payloads_may_be_any_value_with_a_json_form() -> None:
    """Input and output take any JSON value or text; what has no JSON form is refused under its field."""
    made = event("completed", input={"b": [1.5, None]}, output=JsonText("1.0"))
    assert (made.data.input, made.data.output) == ('{"b":[1.5,null]}', "1.0")
    assert event("completed", input=None).data.input is None
    assert event("completed", input=0).data.input == "0"
    with pytest.raises(InvalidEvent) as caught:
        event("completed", output={1, 2})
    assert (caught.value.reason, caught.value.field) == ("not_json", "data.output")


def test_labels_are_sorted() -> None:
    """Labels are kept in one order, so that equal labels are equal text."""
    one, other = event("started", labels={"b": "1", "a": "2"}), event("started", labels={"a": "2", "b": "1"})
    assert stored_json(one.data.labels) == stored_json(other.data.labels) == '{"a":"2","b":"1"}'


def test_parts_are_stored_without_what_they_do_not_say() -> None:
    """A known part is stored as compact JSON without absent fields, a marker as its own text."""
    assert stored_json(ErrorInfo(message="é")) == '{"message":"é"}'
    assert stored_json(Progress(done=2**70, total=1.5)) == '{"done":1180591620717411303424,"total":1.5}'
    marker = Withheld(code="too_deep", size=1, sha256="0")
    assert stored_json(marker) == '{"$withheld":"too_deep","bytes":1,"sha256":"0"}'
    assert stored_json(JsonText("1.0")) == "1.0"


def test_the_type_of_an_event_names_its_verb() -> None:
    """The CloudEvents type is built from the verb, with the version."""
    assert event("timed_out").type == "workflow.execution.timed_out.v1"
