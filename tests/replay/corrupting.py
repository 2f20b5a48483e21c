"""Corruption drawn by a seed: every column of every table that events feed, in every way, by SQL."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

KEYS = {"workflow_executions": ("id",), "workflows": ("namespace", "id"), "users": ("id",)}
# Type → another value of it, also where there is none.
OTHER = {
    "text": "coalesce({0}, '') || '~'",
    "bytea": "{0} || '\\x00'",
    "jsonb": "jsonb_build_object('was', {0})",
    "timestamp with time zone": "coalesce({0}, '2026-01-01') + interval '1 microsecond'",
    "integer": "coalesce({0}, 0) + 1",
    "bigint": "coalesce({0}, 0) + 1",
}
OTHER_OF_COLUMN = {
    "status": "CASE {0} WHEN 'completed' THEN 'failed' WHEN 'failed' THEN 'completed' ELSE 'paused' END",
    "created_at": "{0} - interval '1 microsecond'",
    "input": "replace({0}::text, '1.50', '1.500')::jsonb",  # counts as equal, and is not what the event says
}
ONLY_WHERE = {"completed_at": "completed_at IS NOT NULL", "status": "status IN ('completed', 'failed', 'running')"}

Found = dict[tuple[str, tuple[str, ...]], tuple[str, frozenset[str]]]  # row → kind, and columns of a changed one


class Row(NamedTuple):
    """A row of a table."""

    relation: str
    key: tuple[str, ...]


async def corrupt(database_url: str, *, seed: int, rows: int) -> Found:
    """Corrupt so many rows, each in one way, and return what a comparison must find."""
    chance = random.Random(seed)
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SET session_replication_role = replica")  # past the foreign keys
        ways = await _ways(connection, chance, rows)
        touched: set[Row] = set()
        found: Found = {}
        for way in ways:
            row, kind, fields = await _corrupt_one(connection, chance, way, touched)
            touched.add(row)
            found[row] = (kind, fields)
        return found
    finally:
        await connection.close()


async def _ways(connection: Connection, chance: random.Random, rows: int) -> list[tuple[str, str]]:
    """So many ways: each column once if there is room, then missing and extra rows, then again."""
    columns = await connection.fetch(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND is_generated = 'NEVER' AND table_name = ANY($1)",
        list(KEYS),
    )
    changes = [
        (r["table_name"], r["column_name"])
        for r in columns
        if r["column_name"] not in KEYS[r["table_name"]] and r["column_name"] != "applied_at"
    ]
    others = [(relation, kind) for relation in KEYS for kind in ("missing", "extra")]
    chance.shuffle(changes)
    ways = (others + changes) * (rows // len(changes) + 1)
    return ways[:rows]


async def _corrupt_one(
    connection: Connection, chance: random.Random, way: tuple[str, str], touched: set[Row]
) -> tuple[Row, str, frozenset[str]]:
    relation, what = way
    names = KEYS[relation]
    condition = ONLY_WHERE.get(what, "true")
    keys = await connection.fetch(
        f"SELECT {', '.join(names)} FROM {relation} WHERE {condition} ORDER BY {', '.join(names)}"
    )
    free = [record for record in keys if Row(relation, tuple(map(str, record))) not in touched]
    key = chance.choice(free)
    where = " AND ".join(f"{name} = ${n}" for n, name in enumerate(names, 1))
    row = Row(relation, tuple(map(str, key)))
    if what == "missing":
        await connection.execute(f"DELETE FROM {relation} WHERE {where}", *key)
        return row, "missing", frozenset()
    if what == "extra":
        return await _copy(connection, chance, relation, where, key), "extra", frozenset()
    before = await connection.fetchrow(f"SELECT * FROM {relation} WHERE {where}", *key)
    kind = await connection.fetchval(
        "SELECT data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = $1 AND column_name = $2",
        relation,
        what,
    )
    other = OTHER_OF_COLUMN.get(what, OTHER[kind]).format(what)
    await connection.execute(f"UPDATE {relation} SET {what} = {other} WHERE {where}", *key)
    after = await connection.fetchrow(f"SELECT * FROM {relation} WHERE {where}", *key)
    assert before is not None
    assert after is not None
    fields = frozenset(name for name in before.keys() if before[name] != after[name])  # noqa: SIM118 - a Record's
    assert what in fields, f"{relation}.{what} was not changed"
    return row, "changed", fields


async def _copy(connection: Connection, chance: random.Random, relation: str, where: str, key: Any) -> Row:
    """An extra row: the copy of one under another key."""
    columns = [
        r["column_name"]
        for r in await connection.fetch(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND is_generated = 'NEVER' AND table_name = $1",
            relation,
        )
    ]
    name = KEYS[relation][-1]
    new = (
        str(chance.randrange(2**32)) if relation != "workflow_executions" else f"00000000-{chance.randrange(2**16):04x}"
    )
    value = f"'{new}'" if relation != "workflow_executions" else f"('{new}' || substr(id::text, 14))::uuid"
    values = ", ".join(value if column == name else column for column in columns)
    record = await connection.fetchrow(
        f"INSERT INTO {relation} ({', '.join(columns)}) SELECT {values} FROM {relation} WHERE {where} RETURNING *", *key
    )
    assert record is not None
    return Row(relation, tuple(str(record[part]) for part in KEYS[relation]))
