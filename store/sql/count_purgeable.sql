-- What a policy covers, by status.
SELECT
    e.status,
    count(*) AS executions,
    min(e.completed_at) AS first_ended_at,
    max(e.completed_at) AS last_ended_at
FROM workflow_executions AS e
WHERE /* filter */ true /* end of filter */
GROUP BY e.status
ORDER BY count(*) DESC, e.status ASC
