-- Every expression that executions are counted by, one a line with its name; store/conditions.py takes those that are
-- asked for. A statement only so that it can be checked.
SELECT
    e.status, -- status
    e.workflow_id, -- workflow
    e.created_by, -- user
    (e.started_at AT TIME ZONE 'UTC')::date, -- day
    e.error ->> 'type', -- error_type
    e.labels ->> $1::text -- label
FROM execution_rows AS e
