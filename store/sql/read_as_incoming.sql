-- Rows of the table as a consumer would send them, to be merged elsewhere.
SELECT
    ROW(
        id, namespace, temporal_workflow_id, temporal_run_id, created_at, updated_at, status_order, status,
        attempt, completed_at, reason, actor, started_order, register_started_at, input_order, input,
        output_order, coalesce(output, hidden_output), error_order, coalesce(error, hidden_error),
        duration_order, register_duration_ms, progress_order, register_progress, activities_order,
        register_activities_executed, cancel_request_order, register_cancel_requested_at, visibility_order,
        deleted_at, workflow_id_order, workflow_id, user_id_order, created_by, workflow_name_order,
        workflow_name, orchestrator_order, orchestrator, scheduled_for_order, scheduled_for,
        next_run_id_order, next_run_id, parent_order, parent, root_order, root, labels_order, labels,
        highest_claim_order, lowest_claim_order
    )::live_schema.incoming_execution AS execution
FROM live_schema.workflow_executions
WHERE id = any($1::uuid[])
