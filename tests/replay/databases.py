"""Looking at a database as a whole: what its tables hold, bit for bit."""

from __future__ import annotations

from tests.consuming import fetch

TABLES = ("workflow_executions", "workflows", "users")


async def fingerprint(database_url: str, schema: str = "public") -> dict[str, str]:
    """A digest of every row of the tables that events feed, and the positions without claims."""
    found = {}
    for table in TABLES:
        [digest] = await fetch(
            database_url, f"SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) AS text FROM {schema}.{table} AS t"
        )
        found[table] = digest["text"]
    [positions] = await fetch(
        database_url,
        "SELECT string_agg(concat_ws(' ', consumer_group, topic, partition, next_offset, anchor_offset, anchor, state,"
        " fold_version), E'\\n' ORDER BY consumer_group, topic, partition) AS text FROM public.positions",
    )
    found["positions"] = positions["text"]
    return found


async def objects(database_url: str, schema: str) -> dict[str, int]:
    """The relations, functions and types of a schema with their object ids."""
    return {
        r["name"]: r["oid"]
        for r in await fetch(
            database_url,
            "SELECT relkind::text || ' ' || relname AS name, oid FROM pg_class WHERE relnamespace = $1::regnamespace"
            " UNION ALL SELECT 'function ' || proname, oid FROM pg_proc WHERE pronamespace = $1::regnamespace",
            schema,
        )
    }


async def crossing(database_url: str, schema: str) -> list[str]:
    """What in another schema depends on something in this one, or the other way round."""
    found = await fetch(
        database_url,
        """
        WITH place AS (
            SELECT 'pg_class'::regclass AS classid, oid, relnamespace = $1::regnamespace AS inside FROM pg_class
            WHERE relnamespace IN ($1::regnamespace, 'public'::regnamespace)
            UNION ALL
            SELECT 'pg_proc'::regclass, oid, pronamespace = $1::regnamespace FROM pg_proc
            WHERE pronamespace IN ($1::regnamespace, 'public'::regnamespace)
            UNION ALL
            SELECT 'pg_constraint'::regclass, oid, connamespace = $1::regnamespace FROM pg_constraint
            WHERE connamespace IN ($1::regnamespace, 'public'::regnamespace)
            UNION ALL
            SELECT 'pg_type'::regclass, oid, typnamespace = $1::regnamespace FROM pg_type
            WHERE typnamespace IN ($1::regnamespace, 'public'::regnamespace)
            UNION ALL
            SELECT 'pg_attrdef'::regclass, d.oid, c.relnamespace = $1::regnamespace
            FROM pg_attrdef AS d INNER JOIN pg_class AS c ON d.adrelid = c.oid
            WHERE c.relnamespace IN ($1::regnamespace, 'public'::regnamespace)
            UNION ALL
            SELECT 'pg_rewrite'::regclass, r.oid, c.relnamespace = $1::regnamespace
            FROM pg_rewrite AS r INNER JOIN pg_class AS c ON r.ev_class = c.oid
            WHERE c.relnamespace IN ($1::regnamespace, 'public'::regnamespace)
        )
        SELECT pg_describe_object(d.classid, d.objid, d.objsubid) || ' on '
            || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) AS text
        FROM pg_depend AS d
        INNER JOIN place AS a ON d.classid = a.classid AND d.objid = a.oid
        INNER JOIN place AS b ON d.refclassid = b.classid AND d.refobjid = b.oid
        WHERE a.inside <> b.inside
        """,
        schema,
    )
    return [r["text"] for r in found]
