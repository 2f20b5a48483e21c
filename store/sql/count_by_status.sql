SELECT
    status,
    count(*) AS executions,
    count(duration_ms) AS timed,
    sum(duration_ms) AS duration_ms_sum,
    min(duration_ms) AS duration_ms_min,
    max(duration_ms) AS duration_ms_max
FROM workflow_executions
WHERE namespace = $1 AND workflow_id = $2 AND ($3 OR deleted_at IS NULL)
GROUP BY status
