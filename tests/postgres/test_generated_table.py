"""The generated table of the benchmarks holds what the service would have written: every row is the fold of events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncpg

from benchmarks.table import CHUNK, ids, make_rows
from events import Event, Status, fold, row
from events.codec import validate
from events.fold import REGISTERS
from events.vocabulary import VERBS, Verb

ROWS = 5_000  # every pattern of the generator comes once in as many
SEED = 7
UNTIL = 1_772_323_200.0
DIGEST_BYTES = 8

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

FACTS = ("workflow_name", "orchestrator", "labels", "input", "parent", "root", "scheduled_for")
ENDING = ("output", "error", "next_run_id", "reason")


async def test_every_row_is_what_the_fold_makes_of_events(connection: Connection) -> None:
    """For each generated row there are events of which the real fold makes it: every register, but for its digest."""
    await make_rows(connection, ROWS, SEED, UNTIL)
    made = await connection.fetch("SELECT * FROM workflow_executions")
    assert len(made) == ROWS
    for each in made:
        told = dict(each)
        state = fold(events_of(told))
        assert (state.run.id.bytes, state.created_at, state.updated_at) == (
            told["id"].bytes,
            told["created_at"],
            told["updated_at"],
        )
        for register in REGISTERS:
            cell = state.registers.get(register.name)
            order, values = (cell.order, cell.values) if cell else (b"", (None,) * len(register.columns))
            found = told[f"{register.name}_order"]
            if register.digest is not None:
                assert len(found) == len(order), (register.name, told)
                order, found = order[:-DIGEST_BYTES], found[:-DIGEST_BYTES]
            assert found == order, (register.name, told)
            if cell is not None:
                assert [_plain(told[name]) for name in register.columns] == [_plain(each) for each in values]
        assert row(state).status == told["status"]


async def test_the_table_is_skewed_as_it_says(connection: Connection) -> None:
    """About a hundredth is open, a fifth is of one workflow, and a seed gives the same ids wherever it begins."""
    await make_rows(connection, ROWS, SEED, UNTIL)
    told = await connection.fetchrow(
        """SELECT
            count(*) FILTER (WHERE completed_at IS NULL) AS open,
            count(*) FILTER (WHERE workflow_id = 'workflow-0') AS largest,
            count(*) FILTER (WHERE length(output::text) > 20000) AS large,
            count(*) FILTER (WHERE error IS NOT NULL) AS failed,
            count(*) FILTER (WHERE contested) AS contested,
            count(*) FILTER (WHERE completed_at IS NOT NULL AND NOT start_reported) AS incomplete,
            count(*) FILTER (WHERE parent IS NOT NULL) AS children,
            count(DISTINCT status) AS statuses
        FROM workflow_executions"""
    )
    assert told is not None
    assert 30 < told["open"] < 80
    assert 0.20 < told["largest"] / ROWS < 0.25
    assert 12 < told["large"] < 40
    assert 0.035 < told["failed"] / ROWS < 0.07
    assert (told["contested"], told["incomplete"], told["children"]) == (1, 1, ROWS // 10)
    assert told["statuses"] == len(Status)
    assert ids(100, 3, SEED) == ids(0, 200, SEED)[1600:1648]
    assert CHUNK % 100 == 0


def events_of(told: dict[str, Any]) -> Iterator[Event]:
    """The events that a row stands for: how it began, what became of it, and what others said."""
    facts, ending = _facts(told), _ending(told)
    if told["start_reported"] or told["status"] == "pending":
        yield _event(told, "started" if told["start_reported"] else "scheduled", told["created_at"], facts)
        facts = {}
    if told["completed_at"] is not None:
        verb = next(verb for verb in Verb if VERBS[verb].status == told["status"])
        yield _event(told, verb, told["completed_at"], facts | ending)
    elif told["status"] in ("paused", "retrying"):
        yield _event(told, told["status"], told["updated_at"], ending)
    if told["register_progress"] is not None:
        yield _event(told, "heartbeat", told["updated_at"], {"progress": _plain(told["register_progress"])})
    if told["contested"]:
        yield _event(told, "terminated", told["updated_at"], {})
    for said, column in (("cancel_requested", "register_cancel_requested_at"), ("deleted", "deleted_at")):
        if told[column] is not None:
            yield _event(told, said, told[column], {})


def _facts(told: dict[str, Any]) -> dict[str, Any]:
    """What the first event of an execution carries."""
    facts = {name: _plain(told[name]) for name in FACTS} | {"user_id": told["created_by"]}
    for name in ("parent", "root"):
        facts[name] = facts[name] and {key: value for key, value in facts[name].items() if key != "id"}
    return {name: value for name, value in facts.items() if value is not None}


def _ending(told: dict[str, Any]) -> dict[str, Any]:
    """What the last one does."""
    ending = {name: _plain(told[name]) for name in ENDING}
    ending |= {name: told[f"register_{name}"] for name in ("duration_ms", "activities_executed")}
    return {name: value for name, value in ending.items() if value is not None}


def _event(told: dict[str, Any], verb: str, time: datetime, said: dict[str, Any]) -> Event:
    names = ("workflow_id", "temporal_workflow_id", "temporal_run_id", "attempt")
    data = {name: told[name] for name in names} | said
    envelope = {"specversion": "1.0", "id": f"{told['id']}-{verb}", "source": "/b", "time": time}
    return validate({**envelope, "verb": verb, "data": data})


def _plain(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value
