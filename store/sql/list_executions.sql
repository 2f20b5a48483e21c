-- One page. What stands between the marks is replaced: the filter by conditions of filter_executions.sql, the order by one
-- of the reader's allow-list.
SELECT
    e.id,
    e.namespace,
    e.workflow_id,
    e.workflow_name,
    e.temporal_workflow_id,
    e.temporal_run_id,
    e.orchestrator,
    e.status,
    e.attempt,
    e.started_at,
    e.start_reported,
    e.completed_at,
    e.duration_ms,
    CASE WHEN $1 THEN e.input END AS input,
    CASE WHEN $1 THEN e.output END AS output,
    CASE WHEN $1 THEN e.error END AS error,
    e.error_message,
    e.activities_executed,
    e.progress,
    e.reason,
    e.actor,
    e.created_by,
    e.scheduled_for,
    e.next_run_id,
    e.parent,
    e.root,
    e.labels,
    e.cancel_requested_at,
    e.deleted_at,
    e.contested,
    e.created_at,
    e.updated_at,
    e.applied_at
FROM execution_rows AS e
WHERE /* filter */ true /* end of filter */
ORDER BY /* order */ e.started_at DESC, e.id DESC /* end of order */
LIMIT $2 OFFSET $3
