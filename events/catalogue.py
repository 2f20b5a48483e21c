"""The catalogue: every workflow and every user that an event named, merged like the registers of an execution.

It is collected from events, not from states: a name that loses within an execution was named all the same, and the
tables must not depend on how a log was cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from .models import Event
from .orders import digest_of_name, later


class WorkflowEntry(NamedTuple):
    """A workflow: the time of the first event that named it, and its name with the order it was won with."""

    created_at: datetime
    name_order: bytes
    name: str | None


@dataclass(slots=True)
class Catalogue:
    """Workflows by (namespace, id), and users by id with the time of the first event that named them."""

    workflows: dict[tuple[str, str], WorkflowEntry] = field(default_factory=dict)
    users: dict[str, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event]) -> Catalogue:
        """Collect what events name."""
        catalogue = cls()
        for event in events:
            catalogue.add(event)
        return catalogue

    def add(self, event: Event) -> None:
        """Collect what one event names."""
        name = event.data.workflow_name
        order = b"" if name is None else later(event.time) + digest_of_name((name,))
        self.add_workflow((event.data.namespace, event.data.workflow_id), WorkflowEntry(event.time, order, name))
        if event.data.user_id is not None:
            self.add_user(event.data.user_id, event.time)

    def add_workflow(self, key: tuple[str, str], entry: WorkflowEntry) -> None:
        """Merge one workflow: the first time, and the name with the greater order."""
        held = self.workflows.get(key)
        if held is None:
            self.workflows[key] = entry
        elif entry.name_order > held.name_order or entry.created_at < held.created_at:
            winner = entry if entry.name_order > held.name_order else held
            self.workflows[key] = WorkflowEntry(min(held.created_at, entry.created_at), winner.name_order, winner.name)

    def add_user(self, user_id: str, time: datetime) -> None:
        """Merge one user: the first time."""
        self.users[user_id] = min(self.users.get(user_id, time), time)

    def merge(self, other: Catalogue) -> None:
        """Merge another catalogue into this one."""
        for key, entry in other.workflows.items():
            self.add_workflow(key, entry)
        for user_id, time in other.users.items():
            self.add_user(user_id, time)
