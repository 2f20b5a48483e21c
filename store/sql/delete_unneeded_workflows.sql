-- Takes away workflows that the table lacks, unless they are rebuilt or a rebuilt execution needs them.
DELETE FROM shadow_schema.workflows AS w
WHERE
    w.id <> all($1::text[])
    AND NOT EXISTS (SELECT FROM live_schema.workflows AS l WHERE l.namespace = w.namespace AND l.id = w.id)
    AND NOT EXISTS (
        SELECT FROM shadow_schema.workflow_executions AS e WHERE e.namespace = w.namespace AND e.workflow_id = w.id
    )
