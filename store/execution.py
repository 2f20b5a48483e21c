"""What readers get: executions with plain Python values."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from events.row import ExecutionRow
from events.vocabulary import Status

_JSON_COLUMNS = frozenset({"input", "output", "error", "progress", "parent", "root", "labels"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution(ExecutionRow):
    """An execution as it stands in the table.

    Attributes:
        applied_at: when the service last changed the row, by the database's clock.
    """

    applied_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow definition.

    Attributes:
        name: the latest name an event gave it.
        created_at: time of the first event that named it.
    """

    namespace: str
    id: str
    name: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionWithWorkflow(Execution):
    """An execution, and the workflow it is a run of."""

    workflow: Workflow


_COLUMNS = tuple(field.name for field in fields(Execution))


def execution(record: asyncpg.Record) -> Execution:
    """Return the execution in a record of `execution_rows`."""
    return Execution(**_values(record))


def execution_with_workflow(record: asyncpg.Record) -> ExecutionWithWorkflow:
    """Return the execution in a record that is joined with its workflow."""
    workflow = Workflow(
        namespace=record["namespace"],
        id=record["workflow_id"],
        name=record["workflows_name"],
        created_at=record["workflows_created_at"],
    )
    return ExecutionWithWorkflow(**_values(record), workflow=workflow)


def _values(record: asyncpg.Record) -> dict[str, Any]:
    values = {name: record[name] for name in _COLUMNS}
    for name in _JSON_COLUMNS:
        if values[name] is not None:
            values[name] = json.loads(values[name])
    values["id"] = UUID(int=values["id"].int)  # asyncpg's own class is not one that JSON encoders know
    values["status"] = Status(values["status"])
    return values
