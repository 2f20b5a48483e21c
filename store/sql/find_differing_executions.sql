-- Notes every execution whose row differs from its fold in any bit of any column but applied_at, and what it tells:
-- `lacks` means that the table knows something (an event earlier or later, a greater order) which the shadow does not.
-- Executions that a purge covers should have no row: where they have none all is well, and one that is not what their
-- events say (later ones alone have made it) is too many.
WITH standing AS MATERIALIZED (SELECT * FROM live_schema.standing_purges)

INSERT INTO shadow_schema.differing (relation, key, kind, lacks, status_in_table, status_in_log)
SELECT
    'workflow_executions',
    ARRAY[coalesce(l.id, s.id)::text],
    CASE WHEN l.id IS NULL THEN 'missing' WHEN s.id IS NULL OR c.covered THEN 'extra' ELSE 'changed' END,
    s.id IS NULL
    OR coalesce(
        l.created_at < s.created_at
        OR l.updated_at > s.updated_at
        OR l.status_order > s.status_order
        OR l.input_order > s.input_order
        OR l.visibility_order > s.visibility_order
        OR l.workflow_id_order > s.workflow_id_order
        OR l.user_id_order > s.user_id_order
        OR l.workflow_name_order > s.workflow_name_order
        OR l.orchestrator_order > s.orchestrator_order
        OR l.scheduled_for_order > s.scheduled_for_order
        OR l.next_run_id_order > s.next_run_id_order
        OR l.parent_order > s.parent_order
        OR l.root_order > s.root_order
        OR l.labels_order > s.labels_order
        OR l.output_order > s.output_order
        OR l.error_order > s.error_order
        OR l.started_order > s.started_order
        OR l.duration_order > s.duration_order
        OR l.progress_order > s.progress_order
        OR l.activities_order > s.activities_order
        OR l.cancel_request_order > s.cancel_request_order
        OR l.highest_claim_order > s.highest_claim_order
        OR l.lowest_claim_order > s.lowest_claim_order,
        false
    ),
    l.status,
    s.status
FROM (SELECT * FROM live_schema.workflow_executions WHERE id BETWEEN $1 AND $2) AS l
FULL JOIN (SELECT * FROM shadow_schema.workflow_executions WHERE id BETWEEN $1 AND $2) AS s ON l.id = s.id
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT FROM standing AS p
        WHERE
            p.namespace = s.namespace
            AND s.completed_at < p.ended_before
            AND (NOT p.of_deleted OR s.deleted_at < p.deleted_before)
            AND (p.workflows = '{}' OR s.workflow_id = any(p.workflows))
            AND (p.statuses = '{}' OR s.status = any(p.statuses))
    ) AS covered
) AS c
WHERE
    (
        l.id IS NULL
        OR s.id IS NULL
        -- Compares the bits: what only prints alike, or only counts as equal, differs.
        OR record_image_ne(ROW(
            l.id, l.namespace, l.temporal_workflow_id, l.temporal_run_id, l.status_order, l.status, l.attempt,
            l.completed_at, l.reason, l.actor, l.input_order, l.input, l.visibility_order, l.deleted_at,
            l.workflow_id_order, l.workflow_id, l.user_id_order, l.created_by, l.workflow_name_order,
            l.workflow_name, l.orchestrator_order, l.orchestrator, l.scheduled_for_order, l.scheduled_for,
            l.next_run_id_order, l.next_run_id, l.parent_order, l.parent, l.root_order, l.root,
            l.labels_order, l.labels, l.output_order, l.output, l.hidden_output, l.error_order, l.error,
            l.hidden_error, l.started_order, l.register_started_at, l.duration_order, l.register_duration_ms,
            l.progress_order, l.register_progress, l.activities_order, l.register_activities_executed,
            l.cancel_request_order, l.register_cancel_requested_at, l.highest_claim_order,
            l.lowest_claim_order, l.created_at, l.updated_at, l.started_at, l.start_reported, l.duration_ms,
            l.error_message, l.activities_executed, l.progress, l.cancel_requested_at, l.contested
        ), ROW(
            s.id, s.namespace, s.temporal_workflow_id, s.temporal_run_id, s.status_order, s.status, s.attempt,
            s.completed_at, s.reason, s.actor, s.input_order, s.input, s.visibility_order, s.deleted_at,
            s.workflow_id_order, s.workflow_id, s.user_id_order, s.created_by, s.workflow_name_order,
            s.workflow_name, s.orchestrator_order, s.orchestrator, s.scheduled_for_order, s.scheduled_for,
            s.next_run_id_order, s.next_run_id, s.parent_order, s.parent, s.root_order, s.root,
            s.labels_order, s.labels, s.output_order, s.output, s.hidden_output, s.error_order, s.error,
            s.hidden_error, s.started_order, s.register_started_at, s.duration_order, s.register_duration_ms,
            s.progress_order, s.register_progress, s.activities_order, s.register_activities_executed,
            s.cancel_request_order, s.register_cancel_requested_at, s.highest_claim_order,
            s.lowest_claim_order, s.created_at, s.updated_at, s.started_at, s.start_reported, s.duration_ms,
            s.error_message, s.activities_executed, s.progress, s.cancel_requested_at, s.contested
        ))
    )
    AND NOT (l.id IS NULL AND c.covered)
    AND ($3::text IS NULL OR l.workflow_id = $3 OR s.workflow_id = $3)
    AND ($4::timestamptz IS NULL OR coalesce(l.created_at, s.created_at) >= $4)
