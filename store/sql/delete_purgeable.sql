-- Deletes rows that the policy still covers, but those that somebody else has locked: it waits for nobody, and so it
-- cannot be part of a deadlock, whatever order others lock in. What was withheld of an execution goes with its row.
WITH due AS MATERIALIZED (
    SELECT e.id
    FROM workflow_executions AS e
    WHERE e.id = any($1::uuid[]) AND /* filter */ true /* end of filter */
    ORDER BY e.id
    FOR UPDATE SKIP LOCKED
),

gone AS (
    DELETE FROM workflow_executions AS t
    USING due
    WHERE t.id = due.id
    RETURNING t.id
),

dropped AS (
    DELETE FROM withheld_payloads AS w
    USING gone
    WHERE w.execution_id = gone.id
)

SELECT count(*) AS deleted FROM gone
