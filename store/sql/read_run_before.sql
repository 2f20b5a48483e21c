-- The run that named this one as its next; of several, the one that started last.
SELECT id, temporal_workflow_id, temporal_run_id, next_run_id
FROM workflow_executions
WHERE namespace = $1 AND temporal_workflow_id = $2 AND next_run_id = $3 AND ($4 OR deleted_at IS NULL)
ORDER BY started_at DESC, id DESC
LIMIT 1
