SELECT id, temporal_workflow_id, temporal_run_id, next_run_id
FROM workflow_executions
WHERE id = $1 AND namespace = $2 AND ($3 OR deleted_at IS NULL)
