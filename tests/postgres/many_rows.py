"""Many executions at once, for tests of plans: as skewed as real ones, written by one statement and then analysed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS_EACH = timedelta(seconds=1)

MAKE_WORKFLOWS = """
INSERT INTO workflows (namespace, id, created_at)
SELECT 'default', 'w' || n, '2026-01-01Z' FROM generate_series(0, 49) AS n
"""
MAKE_USERS = "INSERT INTO users (id, created_at) SELECT 'u' || n, '2026-01-01Z' FROM generate_series(0, 199) AS n"

# One execution a second, three of them at a time; workflow w0 has a quarter of them, w49 one in two hundred. 1 % are
# open, and all of the latest; 5 % failed; 0.02 % are contested, and as many were terminated without a start.
MAKE_ROWS = """
INSERT INTO workflow_executions (
    id, namespace, temporal_workflow_id, temporal_run_id, workflow_id, created_by, status, completed_at,
    register_started_at, created_at, updated_at, labels, error, parent, next_run_id, started_order, status_order,
    duration_order, highest_claim_order, lowest_claim_order
)
SELECT
    gen_id(n), 'default', 't' || n / 4, 'r' || n, 'w' || floor(50 * power(r.one, 2.2)),
    'u' || floor(200 * power(r.two, 2)), s.status,
    CASE WHEN s.status NOT IN ('pending', 'running') THEN t.start + interval '1 second' * (1 + 600 * r.three) END,
    CASE WHEN s.status NOT IN ('pending', 'terminated') THEN t.start END, t.start,
    t.start + interval '1 second' * (1 + 600 * r.three),
    jsonb_build_object('team', 't' || n % 9, 'order', 'o' || n),
    CASE WHEN s.status = 'failed' THEN
        jsonb_build_object('message', 'card ' || n || ' declined', 'type', 'E' || n % 7) END,
    CASE WHEN n % 100 = 1 THEN jsonb_build_object('id', gen_id(n - 1)) END,
    CASE WHEN n % 100 = 4 THEN 'r' || n + 1 END,
    '\\x00000001', o.verdict, o.verdict,
    CASE WHEN n % 5000 = 9 THEN '\\x0102030405060708'::bytea ELSE '' END,
    CASE WHEN n % 5000 = 9 THEN '\\x0102030405060708'::bytea ELSE '' END
FROM generate_series(0, $1::integer - 1) AS n
CROSS JOIN LATERAL (
    SELECT
        ('x' || substr(md5(n || 'a'), 1, 7))::bit(28)::integer / 268435456.0 AS one,
        ('x' || substr(md5(n || 'b'), 1, 7))::bit(28)::integer / 268435456.0 AS two,
        ('x' || substr(md5(n || 'c'), 1, 7))::bit(28)::integer / 268435456.0 AS three
) AS r
CROSS JOIN LATERAL (SELECT '2026-01-01Z'::timestamptz + interval '3 seconds' * (n / 3) AS start) AS t
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN n > $1 - $1 / 200 OR n % 200 = 3 THEN 'running'
        WHEN n % 5000 = 7 THEN 'pending'
        WHEN n % 5000 = 8 THEN 'terminated'
        WHEN n % 20 = 0 THEN 'failed'
        WHEN n % 50 = 1 THEN 'timed_out'
        ELSE 'completed'
    END AS status
) AS s
CROSS JOIN LATERAL (
    SELECT CASE WHEN n % 5000 = 9 THEN '\\x01020304050607ff'::bytea ELSE '' END AS verdict
) AS o
"""
ID_OF = "CREATE FUNCTION gen_id(n integer) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN md5('execution' || n)::uuid"


async def make_many(connection: Connection, count: int) -> None:
    """Write so many executions, one a second from 2026 on, and let PostgreSQL look at them."""
    await connection.execute(ID_OF)
    await connection.execute(MAKE_WORKFLOWS)
    await connection.execute(MAKE_USERS)
    await connection.execute("SET session_replication_role = replica")  # the keys of others are there: not looked up
    await connection.execute(MAKE_ROWS, count)
    await connection.execute("RESET session_replication_role")
    await connection.execute("VACUUM ANALYZE")
