-- Notes every workflow whose row differs from what the events say.
INSERT INTO shadow_schema.differing (relation, key, kind, lacks)
SELECT
    'workflows',
    ARRAY[coalesce(l.namespace, s.namespace), coalesce(l.id, s.id)],
    CASE WHEN l.id IS NULL THEN 'missing' WHEN s.id IS NULL THEN 'extra' ELSE 'changed' END,
    s.id IS NULL OR coalesce(l.created_at < s.created_at OR l.name_order > s.name_order, false)
FROM live_schema.workflows AS l
FULL JOIN shadow_schema.workflows AS s ON l.namespace = s.namespace AND l.id = s.id
WHERE
    (
        l.id IS NULL
        OR s.id IS NULL
        OR record_image_ne(ROW(l.name, l.name_order, l.created_at), ROW(s.name, s.name_order, s.created_at))
    )
    AND ($1::text IS NULL OR l.id = $1 OR s.id = $1)
    AND ($2::timestamptz IS NULL OR coalesce(l.created_at, s.created_at) >= $2)
