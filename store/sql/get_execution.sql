-- The latest run of a workflow id.
SELECT e.*, w.name AS workflows_name, w.created_at AS workflows_created_at
FROM execution_rows AS e
INNER JOIN workflows AS w ON e.namespace = w.namespace AND e.workflow_id = w.id
WHERE
    e.namespace = $1
    AND e.temporal_workflow_id = $2
    AND ($3 OR e.deleted_at IS NULL)
ORDER BY e.started_at DESC, e.created_at DESC, e.id DESC
LIMIT 1
