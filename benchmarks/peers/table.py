"""The databases of the sinks, and whether their rows are right.

A row is right when its status, its start and end, its duration and its error's message are those of the fold over the
whole log: what somebody who asks "what is running, what failed, how long did it take?" is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg

from events import Event, State, decode, merge, row
from events.fold import state_of
from store.migrate import migrate

HERE = Path(__file__).parent


class Answer(NamedTuple):
    """What a row tells."""

    status: str
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None
    error_message: str | None


@cache
def sql(name: str) -> str:
    """Return a statement of this folder."""
    return (HERE / f"{name}.sql").read_text()


@asynccontextmanager
async def database(server_url: str, *, plain: bool, template: str = "") -> AsyncIterator[str]:
    """Make a database with the table of the migrations, or with the plain one and the same indexes."""
    name = f"benchmark_{uuid4().hex[:8]}"
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    admin = await asyncpg.connect(server_url)
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template or "template1"}" STRATEGY file_copy')
    try:
        await migrate(url)
        if plain:
            await _make_plain(url)
        await admin.execute("CHECKPOINT")  # so that none falls into a measurement
        yield url
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


async def _make_plain(url: str) -> None:
    """Put the plain table in place of that of the migrations, with every index that it had."""
    connection = await asyncpg.connect(url)
    try:
        wanted = (
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'workflow_executions' AND indexname NOT LIKE '%_pkey'"
        )
        indexes = await connection.fetch(wanted)
        await connection.execute("DROP TABLE workflow_executions CASCADE")
        await connection.execute(sql("table"))
        for index in indexes:
            await connection.execute(index["indexdef"])
    finally:
        await connection.close()


def truth(values: Iterable[bytes]) -> dict[UUID, Answer]:
    """Return what the fold makes of a log."""
    states: dict[UUID, State] = {}
    for value in values:
        event = decode(value)
        assert isinstance(event, Event), "the workload's records are events"
        state = state_of(event)
        held = states.get(state.run.id)
        states[state.run.id] = state if held is None else merge(held, state)
    rows = map(row, states.values())
    return {
        each.id: Answer(each.status, each.started_at, each.completed_at, each.duration_ms, each.error_message)
        for each in rows
    }


async def wrong_rows(url: str, right: Mapping[UUID, Answer]) -> int:
    """Count the rows of the log's executions that tell something else than the fold, or are not there."""
    connection = await asyncpg.connect(url)
    try:
        wanted = f"SELECT id, {', '.join(Answer._fields)} FROM workflow_executions WHERE id = ANY($1)"  # noqa: S608 - the names above
        records = await connection.fetch(wanted, list(right))
    finally:
        await connection.close()
    found = {record["id"]: Answer(*list(record.values())[1:]) for record in records}
    return sum(found.get(id_) != answer for id_, answer in right.items())
