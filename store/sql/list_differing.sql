-- A page of what differs, behind a place in the order of relations and keys.
SELECT relation, key, kind, lacks
FROM shadow_schema.differing
WHERE
    ($1::text IS NULL OR (relation, key) > ($1, $2::text[]))
    AND ($3::boolean IS NULL OR lacks = $3)
    AND relation = any($4::text[])
ORDER BY relation, key
LIMIT $5
