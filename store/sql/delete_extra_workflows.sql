-- Takes away workflows that no event named, unless an execution still says otherwise.
DELETE FROM live_schema.workflows AS w
USING unnest($1::text[], $2::text[]) AS k (namespace, id)
WHERE
    w.namespace = k.namespace
    AND w.id = k.id
    AND NOT EXISTS (SELECT FROM shadow_schema.workflows AS s WHERE s.namespace = w.namespace AND s.id = w.id)
    AND NOT EXISTS (
        SELECT FROM live_schema.workflow_executions AS e WHERE e.namespace = w.namespace AND e.workflow_id = w.id
    )
