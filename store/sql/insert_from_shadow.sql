-- Puts rows of the shadow into the table, but those that a purge covers; what is derived from them is derived anew.
WITH standing AS MATERIALIZED (SELECT * FROM live_schema.standing_purges)

INSERT INTO live_schema.workflow_executions (
    id, namespace, temporal_workflow_id, temporal_run_id, status_order, status, attempt, completed_at, reason,
    actor, input_order, input, visibility_order, deleted_at, workflow_id_order, workflow_id, user_id_order,
    created_by, workflow_name_order, workflow_name, orchestrator_order, orchestrator, scheduled_for_order,
    scheduled_for, next_run_id_order, next_run_id, parent_order, parent, root_order, root, labels_order,
    labels, output_order, output, hidden_output, error_order, error, hidden_error, started_order,
    register_started_at, duration_order, register_duration_ms, progress_order, register_progress,
    activities_order, register_activities_executed, cancel_request_order, register_cancel_requested_at,
    highest_claim_order, lowest_claim_order, created_at, updated_at
)
SELECT
    id, namespace, temporal_workflow_id, temporal_run_id, status_order, status, attempt, completed_at, reason,
    actor, input_order, input, visibility_order, deleted_at, workflow_id_order, workflow_id, user_id_order,
    created_by, workflow_name_order, workflow_name, orchestrator_order, orchestrator, scheduled_for_order,
    scheduled_for, next_run_id_order, next_run_id, parent_order, parent, root_order, root, labels_order,
    labels, output_order, output, hidden_output, error_order, error, hidden_error, started_order,
    register_started_at, duration_order, register_duration_ms, progress_order, register_progress,
    activities_order, register_activities_executed, cancel_request_order, register_cancel_requested_at,
    highest_claim_order, lowest_claim_order, created_at, updated_at
FROM shadow_schema.workflow_executions AS s
WHERE
    id = any($1::uuid[])
    AND NOT EXISTS (
        SELECT FROM standing AS p
        WHERE
            p.namespace = s.namespace
            AND s.completed_at < p.ended_before
            AND (NOT p.of_deleted OR s.deleted_at < p.deleted_before)
            AND (p.workflows = '{}' OR s.workflow_id = any(p.workflows))
            AND (p.statuses = '{}' OR s.status = any(p.statuses))
    )
ORDER BY id
