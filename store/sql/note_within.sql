-- Notes which executions are in a replay's scope, by the word of the table or of the log; in doubt they are, for what is
-- rebuilt is right in any case.
INSERT INTO shadow_schema.within (id)
SELECT coalesce(l.id, s.id)
FROM live_schema.workflow_executions AS l
FULL JOIN shadow_schema.workflow_executions AS s ON l.id = s.id
WHERE
    ($1::uuid[] = '{}' OR coalesce(l.id, s.id) = any($1))
    AND ($2::text[] = '{}' OR l.workflow_id = any($2) OR s.workflow_id = any($2))
    AND ($3::text[] = '{}' OR EXISTS (SELECT FROM shadow_schema.in_topics AS t WHERE t.id = s.id))
    AND (
        (l.created_at >= coalesce($4::timestamptz, '-infinity') AND l.created_at < coalesce($5::timestamptz, 'infinity'))
        OR (s.created_at >= coalesce($4, '-infinity') AND s.created_at < coalesce($5, 'infinity'))
    )
