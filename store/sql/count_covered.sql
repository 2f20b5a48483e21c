-- Executions of the log that a purge covers: how many the table lacks, as it should, and how many it has as they are.
WITH standing AS MATERIALIZED (SELECT * FROM live_schema.standing_purges)

SELECT
    count(*) FILTER (WHERE l.id IS NULL) AS purged,
    count(*) FILTER (WHERE l.id IS NOT NULL AND d.key IS NULL) AS due
FROM shadow_schema.workflow_executions AS s
LEFT JOIN live_schema.workflow_executions AS l ON s.id = l.id
LEFT JOIN shadow_schema.differing AS d ON d.relation = 'workflow_executions' AND d.key = ARRAY[s.id::text]
WHERE
    s.id BETWEEN $1 AND $2
    AND ($3::text IS NULL OR s.workflow_id = $3)
    AND ($4::timestamptz IS NULL OR s.created_at >= $4)
    AND EXISTS (
        SELECT FROM standing AS p
        WHERE
            p.namespace = s.namespace
            AND s.completed_at < p.ended_before
            AND (NOT p.of_deleted OR s.deleted_at < p.deleted_before)
            AND (p.workflows = '{}' OR s.workflow_id = any(p.workflows))
            AND (p.statuses = '{}' OR s.status = any(p.statuses))
    )
