-- Notes every user whose row differs from what the events say.
INSERT INTO shadow_schema.differing (relation, key, kind, lacks)
SELECT
    'users',
    ARRAY[coalesce(l.id, s.id)],
    CASE WHEN l.id IS NULL THEN 'missing' WHEN s.id IS NULL THEN 'extra' ELSE 'changed' END,
    s.id IS NULL OR coalesce(l.created_at < s.created_at, false)
FROM live_schema.users AS l
FULL JOIN shadow_schema.users AS s ON l.id = s.id
WHERE
    (l.id IS NULL OR s.id IS NULL OR record_image_ne(ROW(l.created_at), ROW(s.created_at)))
    AND ($1::timestamptz IS NULL OR coalesce(l.created_at, s.created_at) >= $1)
