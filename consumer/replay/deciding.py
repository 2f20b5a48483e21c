"""The deciding event: where in the log lies what won a register, or named a workflow or a user first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from consumer.record import Record
from events.catalogue import Catalogue
from events.codec import Skipped, decode
from events.errors import InvalidEvent
from events.fold import REGISTERS, state_of
from events.models import Event
from events.position import Position, TopicPartition
from store.differences import Difference, Key

# Column → the register that decides it. What is derived from several is put down to the first of them.
DECIDED_BY = {
    **{column: register.name for register in REGISTERS for column in register.columns},
    **{f"{register.name}_order": register.name for register in REGISTERS},
    "started_at": "started",
    "start_reported": "started",
    "duration_ms": "duration",
    "error_message": "error",
    "hidden_error": "error",
    "hidden_output": "output",
    "activities_executed": "activities",
    "progress": "progress",
    "cancel_requested_at": "cancel_request",
    "contested": "highest_claim",
}
FALLS_BACK = {"duration": "status", "started": "created_at", "highest_claim": "status"}

Target = tuple[str, Key, str]  # relation, key, and a register or a column
Sought = dict[tuple[str, Key], dict[str, Any]]  # of each row: what decides → the order or the time that it has


def decides(found: Difference, field: str) -> str:
    """Return the register or the time that decides a column of a row: what it is not empty in the log's row."""
    if found.relation == "workflows" and field != "created_at":
        return "name" if found.log.get("name_order") else "created_at"
    if found.relation != "workflow_executions":
        return "created_at"
    if field == "updated_at":
        return field
    name = DECIDED_BY.get(field, "created_at")
    while name != "created_at" and not found.log.get(f"{name}_order"):
        name = FALLS_BACK.get(name, "created_at")
    return name


def fields_of(found: Difference) -> list[str]:
    """Return the columns whose deciding events are looked for; of a row that is missing, what decided its status."""
    return list(found.fields) or (["status" if found.relation == "workflow_executions" else "created_at"])


class Search:
    """Looks through records for the deciding events of some differences."""

    def __init__(self, found: Iterable[Difference]) -> None:
        self.at: dict[Target, Position] = {}
        self._sought: Sought = {}
        for each in found:
            for field in fields_of(each) if each.log else ():
                name = decides(each, field)
                column = name if name in ("created_at", "updated_at") else f"{name}_order"
                self._sought.setdefault((each.relation, each.key), {})[name] = each.log[column]

    @property
    def over(self) -> bool:
        """Whether everything was found."""
        return len(self.at) == sum(map(len, self._sought.values()))

    def position(self, found: Difference, field: str) -> Position | None:
        """Return where the event lies that decides a column."""
        return self.at.get((found.relation, found.key, decides(found, field)))

    def look(self, partition: TopicPartition, records: Iterable[Record]) -> None:
        """Look through records."""
        for record in records:
            event = _event(record)
            if event is not None:
                self._look_at(event, Position(*partition, record.offset))

    def _look_at(self, event: Event, position: Position) -> None:
        key = (str(event.execution_id),)
        if sought := self._sought.get(("workflow_executions", key)):
            cells = state_of(event).registers
            times = {"created_at": event.time, "updated_at": event.time}
            known = times | {name: cell.order for name, cell in cells.items()}
            self._note("workflow_executions", key, sought, known, position)
        named = Catalogue.of([event])
        for workflow, entry in named.workflows.items():
            if sought := self._sought.get(("workflows", workflow)):
                known = {"created_at": entry.created_at, "name": entry.name_order}
                self._note("workflows", workflow, sought, known, position)
        for user, time in named.users.items():
            if sought := self._sought.get(("users", (user,))):
                self._note("users", (user,), sought, {"created_at": time}, position)

    def _note(
        self, relation: str, key: Key, sought: Mapping[str, Any], known: Mapping[str, Any], position: Position
    ) -> None:
        for name, wanted in sought.items():
            if known.get(name) == wanted:
                self.at.setdefault((relation, key, name), position)


def _event(record: Record) -> Event | None:
    try:
        event = None if record.fault is not None else decode(record.value, record.headers)
    except InvalidEvent:
        return None
    return None if isinstance(event, Skipped) else event
