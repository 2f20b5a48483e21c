"""The comparison of a table with a shadow looks at every column that there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from store.differences import EVERYTHING, NOT_COMPARED
from store.statements import statement

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

COLUMNS = """
    SELECT column_name, is_generated = 'ALWAYS' AS derived, is_nullable = 'YES' AS nullable
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1
"""
STATEMENT_OF = {
    "workflow_executions": "find_differing_executions",
    "workflows": "find_differing_workflows",
    "users": "find_differing_users",
}


def columns_in(text: str, alias: str = "") -> set[str]:
    """The columns that a part of a statement names, one after the other."""
    return set(re.findall(rf"\b{alias}([a-z_]+)\b", text))


@pytest.mark.parametrize("relation", EVERYTHING)
async def test_every_column_is_compared(connection: Connection, relation: str) -> None:
    """Of the table and of the shadow all columns but `applied_at` take part, and what is a key is joined by."""
    found = {r["column_name"] for r in await connection.fetch(COLUMNS, relation)} - NOT_COMPARED
    sql = statement(STATEMENT_OF[relation])
    [(table, shadow)] = re.findall(r"record_image_ne\(\s*ROW\((.*?)\),\s*ROW\((.*?)\)\s*\)", sql, re.DOTALL)
    joined = set(re.findall(r"l\.([a-z_]+) = s\.\1", sql))
    assert columns_in(table, r"l\.") | joined == found
    assert columns_in(shadow, r"s\.") | joined == found


async def test_whatever_the_table_may_know_better_is_asked_for(connection: Connection) -> None:
    """A row lacks nothing only if none of its orders is greater than that of the shadow."""
    orders = {r["column_name"] for r in await connection.fetch(COLUMNS, "workflow_executions")}
    asked = re.findall(r"l\.([a-z_]+_order) > s\.\1", statement("find_differing_executions"))
    assert set(asked) == {name for name in orders if name.endswith("_order")}


async def test_every_column_is_mended(connection: Connection) -> None:
    """All columns that are not derived, but `applied_at`, are taken from the shadow."""
    found = await connection.fetch(COLUMNS, "workflow_executions")
    stored = {r["column_name"] for r in found if not r["derived"]} - NOT_COMPARED
    inserted, selected = re.findall(
        r"workflow_executions \((.*?)\)\nSELECT\n(.*?)\nFROM", statement("insert_from_shadow"), re.DOTALL
    )[0]
    assert columns_in(inserted) == stored
    assert [name.strip() for name in inserted.split(",")] == [name.strip() for name in selected.split(",")]
