-- The purges that have deleted anything since a moment.
SELECT namespace, workflows, statuses, ended_before, deleted_before
FROM live_schema.purges
WHERE revoked_at IS NULL AND executions > 0 AND worked_at >= $1
ORDER BY id
