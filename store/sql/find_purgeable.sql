-- The next of what a policy covers, in the order of an index, so that each is looked for once. It locks nothing.
SELECT
    e.id,
    /* time */ e.completed_at /* end of time */ AS time
FROM workflow_executions AS e
WHERE /* filter */ true /* end of filter */
ORDER BY /* order */ e.completed_at, e.id /* end of order */
LIMIT $1
