-- Every condition that a filter can become, one a line with its name; store/conditions.py takes those that are asked
-- for, and numbers their values anew, so that the planner sees nothing else. A statement only so that it can be checked.
SELECT e.id
FROM execution_rows AS e
WHERE
    e.namespace = $1 -- namespace
    AND e.deleted_at IS NULL -- shown
    AND e.workflow_id = $2 -- workflow_id
    AND e.created_by = $3 -- user_id
    AND e.temporal_workflow_id = $4 -- temporal_workflow_id
    AND e.orchestrator = $5 -- orchestrator
    AND e.status = $6 -- status
    AND e.status = any($7::text []) -- statuses
    AND e.completed_at IS NULL -- open
    AND e.completed_at IS NOT NULL -- ended
    AND e.attempt = $8 -- attempt
    AND e.started_at >= $9 -- started_since
    AND e.started_at < $10 -- started_until
    AND e.completed_at >= $11 -- completed_since
    AND e.completed_at < $12 -- completed_until
    AND e.duration_ms >= $13 -- min_duration_ms
    AND e.duration_ms <= $14 -- max_duration_ms
    AND e.labels @> $15::jsonb -- labels
    AND e.error_message IS NOT NULL -- with_error
    AND e.error ->> 'type' = $16 -- error_type
    AND strpos(lower(e.error_message), lower($17)) > 0 -- error_text
    AND e.contested -- contested
    AND NOT e.contested -- uncontested
    AND NOT e.start_reported -- start_missing
    AND e.started_at < $18 AND e.updated_at < $18 -- silent_since
    AND e.status = 'pending' AND e.scheduled_for < $19 -- due_before
    AND (e.started_at, e.id) < ($20, $21) -- started_at_below
    AND (e.started_at, e.id) > ($22, $23) -- started_at_above
    AND (e.completed_at, e.id) < ($24, $25) -- completed_at_below
    AND (e.completed_at, e.id) > ($26, $27) -- completed_at_above
    AND e.id = any($28::uuid []) -- ids
    AND e.workflow_id = any($29::text []) -- workflows
    AND e.deleted_at < $30 -- deleted_until
    AND (e.deleted_at, e.id) > ($31, $32) -- deleted_at_above
