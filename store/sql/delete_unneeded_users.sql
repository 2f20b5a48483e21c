-- Takes away users that the table lacks, unless a rebuilt execution needs them.
DELETE FROM shadow_schema.users AS u
WHERE
    NOT EXISTS (SELECT FROM live_schema.users AS l WHERE l.id = u.id)
    AND NOT EXISTS (SELECT FROM shadow_schema.workflow_executions AS e WHERE e.created_by = u.id)
