-- The shortest and the longest of a workflow's executions.
SELECT
    (
        SELECT duration_ms
        FROM workflow_executions
        WHERE namespace = $1 AND workflow_id = $2 AND duration_ms IS NOT NULL AND deleted_at IS NULL
        ORDER BY duration_ms
        LIMIT 1
    ) AS shortest_ms,
    (
        SELECT duration_ms
        FROM workflow_executions
        WHERE namespace = $1 AND workflow_id = $2 AND duration_ms IS NOT NULL AND deleted_at IS NULL
        ORDER BY duration_ms DESC
        LIMIT 1
    ) AS longest_ms
