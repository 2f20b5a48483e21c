-- Takes away users that no event named, unless an execution still says otherwise.
DELETE FROM live_schema.users AS u
WHERE
    u.id = any($1::text[])
    AND NOT EXISTS (SELECT FROM shadow_schema.users AS s WHERE s.id = u.id)
    AND NOT EXISTS (SELECT FROM live_schema.workflow_executions AS e WHERE e.created_by = u.id)
