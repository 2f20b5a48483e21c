"""What a row shows of its registers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from events import Event, ExecutionRow, Status, Verb, fold, row
from events.fold import REGISTERS
from events.vocabulary import VERBS
from tests.lives import at, event


def shown(*history: Event) -> ExecutionRow:
    """The row of a history."""
    return row(fold(history))


def test_a_row_names_its_run() -> None:
    """The row carries the run's names, and the id that follows from them."""
    e = event("started", namespace="n", workflow_name="Invoice", user_id="ada")
    found = shown(e)
    assert found.id == e.execution_id
    assert (found.namespace, found.temporal_workflow_id, found.temporal_run_id) == ("n", "invoice-42", "run-1")
    assert (found.workflow_id, found.workflow_name, found.created_by) == ("invoice", "Invoice", "ada")


def test_a_null_says_nothing() -> None:
    """A field that is stated as null feeds no register, as if it were not there."""
    assert "user_id" not in fold([event("started", user_id=None)]).registers
    assert shown(event("started", user_id="ada"), event("heartbeat", 1, user_id=None)).created_by == "ada"


@pytest.mark.parametrize("verb", list(Verb))
def test_one_event_alone_shows_its_status(verb: Verb) -> None:
    """A single event of any verb gives the verb's status, or pending where it claims none."""
    found = shown(event(verb, 3))
    rule = VERBS[verb]
    assert found.status is (rule.status or Status.PENDING)
    assert found.completed_at == (at(3) if rule.terminal else None)
    assert found.start_reported == (verb is Verb.STARTED)
    assert (found.started_at, found.created_at, found.updated_at) == (at(3), at(3), at(3))


@pytest.mark.parametrize("verb", ["cancel_requested", "deleted", "restored"])
def test_a_flag_takes_no_status_away(verb: str) -> None:
    """A flag that comes last leaves the status that was there."""
    assert shown(event("paused", 1), event(verb, 9)).status == "paused"


def test_an_orchestrator_is_stated_or_temporal() -> None:
    """An event that is silent about its orchestrator neither names one nor outbids one that does."""
    assert shown(event("started")).orchestrator == "temporal"
    later = event("heartbeat", 5, authority="server")
    assert shown(event("started", orchestrator="airflow"), later).orchestrator == "airflow"


@pytest.mark.parametrize(
    ("start", "end", "milliseconds"),
    [(0, 2, 2_000), (0, 0, 0), (5, 3, 0), (0, 0.000999, 0), (0, 0.001999, 1), (0, 3_000_000, 3_000_000_000)],
)
def test_a_duration_is_measured_from_start_to_end(start: float, end: float, milliseconds: int) -> None:
    """The measured duration is cut to whole milliseconds, never negative, and longer than 24 days if need be."""
    assert shown(event("started", start), event("completed", end)).duration_ms == milliseconds


def test_a_reported_duration_beats_the_measured_one() -> None:
    """The duration that the publisher measured is shown, even 0, as long as its verdict is."""
    assert shown(event("started"), event("completed", 5, duration_ms=0)).duration_ms == 0
    overruled = shown(event("started"), event("completed", 5, duration_ms=1), event("failed", 6, authority="server"))
    assert overruled.duration_ms == 6_000


def test_no_duration_without_a_start_of_the_same_attempt() -> None:
    """A start of an earlier attempt, or none, gives no duration."""
    assert shown(event("completed", 5)).duration_ms is None
    assert shown(event("started"), event("completed", 5, attempt=2)).duration_ms is None
    assert shown(event("started", attempt=2), event("heartbeat", 5, attempt=2)).duration_ms is None


def test_a_hidden_output_comes_back() -> None:
    """An output is hidden while another verdict stands, and shown again when its own does."""
    completed = event("completed", 3, output={"a": 1})
    failed = event("failed", 5, authority="operator", attempt=1, completed_at=at(3), error={"message": "no"})
    undone = event("completed", 7, authority="operator", attempt=1, completed_at=at(3))
    hidden = shown(completed, failed)
    assert (hidden.output, hidden.error_message) == (None, "no")
    found = shown(completed, failed, undone)
    assert (found.output, found.error, found.error_message) == ({"a": 1}, None, None)


def test_an_error_shows_its_message_and_its_detail() -> None:
    """The error is shown whole, with its message beside it, and without the fields that were not given."""
    found = shown(event("failed", error={"message": "E", "code": "7", "retryable": False}))
    assert (found.error, found.error_message) == ({"message": "E", "code": "7", "retryable": False}, "E")


def test_a_guess_stands_only_while_nothing_else_is_known() -> None:
    """A guess ends the row, and any later sign that it was wrong opens it again."""
    guess = event("timed_out", 100, authority="inferred", attempt=1)
    assert shown(event("started"), guess).status == "timed_out"
    assert shown(event("started"), guess, event("started", 110)).status == "running"
    assert shown(event("started"), guess, event("completed", 50)).status == "completed"


@pytest.mark.parametrize(
    ("history", "contested"),
    [
        ([event("completed", 1), event("failed", 2)], True),
        ([event("completed", 1), event("completed", 2)], False),
        ([event("completed", 1), event("failed", 2, attempt=2)], False),
        ([event("completed", 1), event("failed", 2, authority="server")], False),
        ([event("completed", 1), event("failed", 2), event("failed", 3, authority="server")], False),
        ([event("completed", 1), event("failed", 2), event("started", 3, attempt=2)], False),
        ([event("completed", 1), event("failed", 2, authority="inferred", attempt=1)], False),
        ([event("failed", 1, authority="server"), event("failed", 2, authority="server", revises=True)], False),
    ],
)
def test_a_row_is_contested_by_equals_only(history: list[Event], contested: bool) -> None:
    """Two different reports contest each other if attempt and authority are those of the verdict shown."""
    assert shown(*history).contested is contested


def test_a_reference_completes_itself_from_its_event() -> None:
    """A parent without a namespace is in its child's, and comes with the id of its execution."""
    parent = {"temporal_workflow_id": "p", "temporal_run_id": "1"}
    found = shown(event("started", namespace="n", parent=parent, root={**parent, "namespace": "m"}))
    of_parent = event("started", namespace="n", temporal_workflow_id="p", run="1")
    assert found.parent == {"namespace": "n", **parent, "id": str(of_parent.execution_id)}
    assert found.root["namespace"] == "m"


def test_labels_are_replaced_as_a_whole() -> None:
    """The latest labels replace the earlier ones, and those of a stronger authority stand."""
    first, second = event("started", 1, labels={"a": "1"}), event("heartbeat", 2, labels={"b": "2"})
    assert shown(first, second).labels == {"b": "2"}
    assert shown(event("started", 1, labels={"a": "1"}, authority="server"), second).labels == {"a": "1"}


def test_facts_are_the_first_word_until_they_are_revised() -> None:
    """The first event's user stands against later ones, and an operator's later word against all."""
    first, second = event("started", 1, user_id="ada"), event("heartbeat", 2, user_id="bob")
    assert shown(second, first).created_by == "ada"
    revised = [event("heartbeat", n, user_id=f"op-{n}", authority="operator") for n in (3, 4)]
    assert shown(first, second, *revised).created_by == "op-4"


def test_a_schedule_is_shown() -> None:
    """The time for which an execution is scheduled is shown in UTC, however it was written."""
    found = shown(event("scheduled", scheduled_for="2026-01-01T02:00:00+02:00"))
    assert found.scheduled_for == datetime(2026, 1, 1, tzinfo=UTC)


def test_registers_have_names_and_columns_of_their_own() -> None:
    """No two registers share a name or a column."""
    names = [register.name for register in REGISTERS]
    columns = [column for register in REGISTERS for column in register.columns]
    assert len(set(names)) == len(names)
    assert len(set(columns)) == len(columns)
