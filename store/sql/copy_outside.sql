-- Carries executions that are not rebuilt over into the shadow, as they are.
INSERT INTO shadow_schema.workflow_executions (
    id, namespace, temporal_workflow_id, temporal_run_id, status_order, status, attempt, completed_at, reason,
    actor, input_order, input, visibility_order, deleted_at, workflow_id_order, workflow_id, user_id_order,
    created_by, workflow_name_order, workflow_name, orchestrator_order, orchestrator, scheduled_for_order,
    scheduled_for, next_run_id_order, next_run_id, parent_order, parent, root_order, root, labels_order,
    labels, output_order, output, hidden_output, error_order, error, hidden_error, started_order,
    register_started_at, duration_order, register_duration_ms, progress_order, register_progress,
    activities_order, register_activities_executed, cancel_request_order, register_cancel_requested_at,
    highest_claim_order, lowest_claim_order, created_at, updated_at, applied_at
)
SELECT
    id, namespace, temporal_workflow_id, temporal_run_id, status_order, status, attempt, completed_at, reason,
    actor, input_order, input, visibility_order, deleted_at, workflow_id_order, workflow_id, user_id_order,
    created_by, workflow_name_order, workflow_name, orchestrator_order, orchestrator, scheduled_for_order,
    scheduled_for, next_run_id_order, next_run_id, parent_order, parent, root_order, root, labels_order,
    labels, output_order, output, hidden_output, error_order, error, hidden_error, started_order,
    register_started_at, duration_order, register_duration_ms, progress_order, register_progress,
    activities_order, register_activities_executed, cancel_request_order, register_cancel_requested_at,
    highest_claim_order, lowest_claim_order, created_at, updated_at, applied_at
FROM live_schema.workflow_executions AS l
WHERE NOT EXISTS (SELECT FROM shadow_schema.within AS w WHERE w.id = l.id)
ORDER BY id
