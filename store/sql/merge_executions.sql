-- Merges folded executions into the table: of each register the greater order wins, with its values.
-- What changes nothing is left out before it is locked, for a row once reached never falls back.
-- Answers how many rows that changed, and how many of those are contested now.
WITH merged AS (
    INSERT INTO workflow_executions AS t (
        id,
        namespace,
        temporal_workflow_id,
        temporal_run_id,
        created_at,
        updated_at,
        status_order,
        status,
        attempt,
        completed_at,
        reason,
        actor,
        started_order,
        register_started_at,
        input_order,
        input,
        duration_order,
        register_duration_ms,
        progress_order,
        register_progress,
        activities_order,
        register_activities_executed,
        cancel_request_order,
        register_cancel_requested_at,
        visibility_order,
        deleted_at,
        workflow_id_order,
        workflow_id,
        user_id_order,
        created_by,
        workflow_name_order,
        workflow_name,
        orchestrator_order,
        orchestrator,
        scheduled_for_order,
        scheduled_for,
        next_run_id_order,
        next_run_id,
        parent_order,
        parent,
        root_order,
        root,
        labels_order,
        labels,
        highest_claim_order,
        lowest_claim_order,
        output_order,
        output,
        hidden_output,
        error_order,
        error,
        hidden_error
    )
    SELECT
        e.id,
        e.namespace,
        e.temporal_workflow_id,
        e.temporal_run_id,
        e.created_at,
        e.updated_at,
        e.status_order,
        coalesce(e.status, 'pending'),
        coalesce(e.attempt, 1),
        e.completed_at,
        e.reason,
        e.actor,
        e.started_order,
        e.register_started_at,
        e.input_order,
        e.input,
        e.duration_order,
        e.register_duration_ms,
        e.progress_order,
        e.register_progress,
        e.activities_order,
        e.register_activities_executed,
        e.cancel_request_order,
        e.register_cancel_requested_at,
        e.visibility_order,
        e.deleted_at,
        e.workflow_id_order,
        e.workflow_id,
        e.user_id_order,
        e.created_by,
        e.workflow_name_order,
        e.workflow_name,
        e.orchestrator_order,
        coalesce(e.orchestrator, 'temporal'),
        e.scheduled_for_order,
        e.scheduled_for,
        e.next_run_id_order,
        e.next_run_id,
        e.parent_order,
        e.parent,
        e.root_order,
        e.root,
        e.labels_order,
        e.labels,
        e.highest_claim_order,
        e.lowest_claim_order,
        e.output_order,
        CASE WHEN same_verdict(e.output_order, e.status_order) THEN e.output END,
        CASE WHEN NOT same_verdict(e.output_order, e.status_order) THEN e.output END,
        e.error_order,
        CASE WHEN same_verdict(e.error_order, e.status_order) THEN e.error END,
        CASE WHEN NOT same_verdict(e.error_order, e.status_order) THEN e.error END
    FROM unnest($1::incoming_execution[]) AS e
    WHERE NOT EXISTS (
        SELECT FROM workflow_executions AS t
        WHERE
            t.id = e.id
            AND t.created_at <= e.created_at
            AND t.updated_at >= e.updated_at
            AND t.status_order >= e.status_order
            AND t.started_order >= e.started_order
            AND t.input_order >= e.input_order
            AND t.duration_order >= e.duration_order
            AND t.progress_order >= e.progress_order
            AND t.activities_order >= e.activities_order
            AND t.cancel_request_order >= e.cancel_request_order
            AND t.visibility_order >= e.visibility_order
            AND t.workflow_id_order >= e.workflow_id_order
            AND t.user_id_order >= e.user_id_order
            AND t.workflow_name_order >= e.workflow_name_order
            AND t.orchestrator_order >= e.orchestrator_order
            AND t.scheduled_for_order >= e.scheduled_for_order
            AND t.next_run_id_order >= e.next_run_id_order
            AND t.parent_order >= e.parent_order
            AND t.root_order >= e.root_order
            AND t.labels_order >= e.labels_order
            AND t.highest_claim_order >= e.highest_claim_order
            AND t.lowest_claim_order >= e.lowest_claim_order
            AND t.output_order >= e.output_order
            AND t.error_order >= e.error_order
    )
    ORDER BY e.id
    ON CONFLICT (id) DO UPDATE SET
        created_at = least(t.created_at, excluded.created_at),
        updated_at = greatest(t.updated_at, excluded.updated_at),
        status_order = greatest(t.status_order, excluded.status_order),
        status = CASE WHEN excluded.status_order > t.status_order THEN excluded.status ELSE t.status END,
        attempt = CASE WHEN excluded.status_order > t.status_order THEN excluded.attempt ELSE t.attempt END,
        completed_at = CASE WHEN excluded.status_order > t.status_order THEN excluded.completed_at ELSE t.completed_at END,
        reason = CASE WHEN excluded.status_order > t.status_order THEN excluded.reason ELSE t.reason END,
        actor = CASE WHEN excluded.status_order > t.status_order THEN excluded.actor ELSE t.actor END,
        started_order = greatest(t.started_order, excluded.started_order),
        register_started_at = CASE WHEN excluded.started_order > t.started_order THEN excluded.register_started_at ELSE t.register_started_at END,
        input_order = greatest(t.input_order, excluded.input_order),
        input = CASE WHEN excluded.input_order > t.input_order THEN excluded.input ELSE t.input END,
        duration_order = greatest(t.duration_order, excluded.duration_order),
        register_duration_ms = CASE WHEN excluded.duration_order > t.duration_order THEN excluded.register_duration_ms ELSE t.register_duration_ms END,
        progress_order = greatest(t.progress_order, excluded.progress_order),
        register_progress = CASE WHEN excluded.progress_order > t.progress_order THEN excluded.register_progress ELSE t.register_progress END,
        activities_order = greatest(t.activities_order, excluded.activities_order),
        register_activities_executed = CASE WHEN excluded.activities_order > t.activities_order THEN excluded.register_activities_executed ELSE t.register_activities_executed END,
        cancel_request_order = greatest(t.cancel_request_order, excluded.cancel_request_order),
        register_cancel_requested_at = CASE WHEN excluded.cancel_request_order > t.cancel_request_order THEN excluded.register_cancel_requested_at ELSE t.register_cancel_requested_at END,
        visibility_order = greatest(t.visibility_order, excluded.visibility_order),
        deleted_at = CASE WHEN excluded.visibility_order > t.visibility_order THEN excluded.deleted_at ELSE t.deleted_at END,
        workflow_id_order = greatest(t.workflow_id_order, excluded.workflow_id_order),
        workflow_id = CASE WHEN excluded.workflow_id_order > t.workflow_id_order THEN excluded.workflow_id ELSE t.workflow_id END,
        user_id_order = greatest(t.user_id_order, excluded.user_id_order),
        created_by = CASE WHEN excluded.user_id_order > t.user_id_order THEN excluded.created_by ELSE t.created_by END,
        workflow_name_order = greatest(t.workflow_name_order, excluded.workflow_name_order),
        workflow_name = CASE WHEN excluded.workflow_name_order > t.workflow_name_order THEN excluded.workflow_name ELSE t.workflow_name END,
        orchestrator_order = greatest(t.orchestrator_order, excluded.orchestrator_order),
        orchestrator = CASE WHEN excluded.orchestrator_order > t.orchestrator_order THEN excluded.orchestrator ELSE t.orchestrator END,
        scheduled_for_order = greatest(t.scheduled_for_order, excluded.scheduled_for_order),
        scheduled_for = CASE WHEN excluded.scheduled_for_order > t.scheduled_for_order THEN excluded.scheduled_for ELSE t.scheduled_for END,
        next_run_id_order = greatest(t.next_run_id_order, excluded.next_run_id_order),
        next_run_id = CASE WHEN excluded.next_run_id_order > t.next_run_id_order THEN excluded.next_run_id ELSE t.next_run_id END,
        parent_order = greatest(t.parent_order, excluded.parent_order),
        parent = CASE WHEN excluded.parent_order > t.parent_order THEN excluded.parent ELSE t.parent END,
        root_order = greatest(t.root_order, excluded.root_order),
        root = CASE WHEN excluded.root_order > t.root_order THEN excluded.root ELSE t.root END,
        labels_order = greatest(t.labels_order, excluded.labels_order),
        labels = CASE WHEN excluded.labels_order > t.labels_order THEN excluded.labels ELSE t.labels END,
        highest_claim_order = greatest(t.highest_claim_order, excluded.highest_claim_order),
        lowest_claim_order = greatest(t.lowest_claim_order, excluded.lowest_claim_order),
        output_order = greatest(t.output_order, excluded.output_order),
        output = CASE
            WHEN same_verdict(
                greatest(t.output_order, excluded.output_order), greatest(t.status_order, excluded.status_order)
            ) THEN
                CASE
                    WHEN excluded.output_order > t.output_order THEN coalesce(excluded.output, excluded.hidden_output)
                    ELSE coalesce(t.output, t.hidden_output)
                END
        END,
        hidden_output = CASE
            WHEN NOT same_verdict(
                greatest(t.output_order, excluded.output_order), greatest(t.status_order, excluded.status_order)
            ) THEN
                CASE
                    WHEN excluded.output_order > t.output_order THEN coalesce(excluded.output, excluded.hidden_output)
                    ELSE coalesce(t.output, t.hidden_output)
                END
        END,
        error_order = greatest(t.error_order, excluded.error_order),
        error = CASE
            WHEN same_verdict(
                greatest(t.error_order, excluded.error_order), greatest(t.status_order, excluded.status_order)
            ) THEN
                CASE
                    WHEN excluded.error_order > t.error_order THEN coalesce(excluded.error, excluded.hidden_error)
                    ELSE coalesce(t.error, t.hidden_error)
                END
        END,
        hidden_error = CASE
            WHEN NOT same_verdict(
                greatest(t.error_order, excluded.error_order), greatest(t.status_order, excluded.status_order)
            ) THEN
                CASE
                    WHEN excluded.error_order > t.error_order THEN coalesce(excluded.error, excluded.hidden_error)
                    ELSE coalesce(t.error, t.hidden_error)
                END
        END,
        applied_at = greatest(t.applied_at, now())
    WHERE
        t.created_at > excluded.created_at
        OR t.updated_at < excluded.updated_at
        OR t.status_order < excluded.status_order
        OR t.started_order < excluded.started_order
        OR t.input_order < excluded.input_order
        OR t.duration_order < excluded.duration_order
        OR t.progress_order < excluded.progress_order
        OR t.activities_order < excluded.activities_order
        OR t.cancel_request_order < excluded.cancel_request_order
        OR t.visibility_order < excluded.visibility_order
        OR t.workflow_id_order < excluded.workflow_id_order
        OR t.user_id_order < excluded.user_id_order
        OR t.workflow_name_order < excluded.workflow_name_order
        OR t.orchestrator_order < excluded.orchestrator_order
        OR t.scheduled_for_order < excluded.scheduled_for_order
        OR t.next_run_id_order < excluded.next_run_id_order
        OR t.parent_order < excluded.parent_order
        OR t.root_order < excluded.root_order
        OR t.labels_order < excluded.labels_order
        OR t.highest_claim_order < excluded.highest_claim_order
        OR t.lowest_claim_order < excluded.lowest_claim_order
        OR t.output_order < excluded.output_order
        OR t.error_order < excluded.error_order
    RETURNING t.contested
)

SELECT
    count(*) AS changed,
    count(*) FILTER (WHERE contested) AS contested
FROM merged
