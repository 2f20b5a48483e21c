-- Executions of both, but those that a purge covers.
WITH standing AS MATERIALIZED (SELECT * FROM live_schema.standing_purges)

SELECT
    (
        SELECT count(*) FROM live_schema.workflow_executions AS l
        WHERE NOT EXISTS (
            SELECT FROM standing AS p
            WHERE
                p.namespace = l.namespace
                AND l.completed_at < p.ended_before
                AND (NOT p.of_deleted OR l.deleted_at < p.deleted_before)
                AND (p.workflows = '{}' OR l.workflow_id = any(p.workflows))
                AND (p.statuses = '{}' OR l.status = any(p.statuses))
        )
    ) AS table_rows,
    (
        SELECT count(*) FROM shadow_schema.workflow_executions AS s
        WHERE NOT EXISTS (
            SELECT FROM standing AS p
            WHERE
                p.namespace = s.namespace
                AND s.completed_at < p.ended_before
                AND (NOT p.of_deleted OR s.deleted_at < p.deleted_before)
                AND (p.workflows = '{}' OR s.workflow_id = any(p.workflows))
                AND (p.statuses = '{}' OR s.status = any(p.statuses))
        )
    ) AS shadow_rows
