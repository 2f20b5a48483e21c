-- Counts and times a workflow's executions by status, deleted ones included, by looking at each of them.
SELECT
    e.status,
    count(*) AS executions,
    count(e.duration_ms) AS timed,
    sum(e.duration_ms) AS duration_ms_sum,
    min(e.duration_ms) AS duration_ms_min,
    max(e.duration_ms) AS duration_ms_max,
    coalesce(sum(s.chains), 0) AS chains
FROM workflow_executions AS e
LEFT JOIN LATERAL statistics_of(
    e.status, e.started_at, e.completed_at, e.duration_ms, e.register_started_at, e.scheduled_for,
    e.next_run_id, NULL
) AS s ON s.axis = 'ended'
WHERE e.namespace = $1 AND e.workflow_id = $2
GROUP BY e.status
