-- Gives workflows the rows that they have in the shadow.
INSERT INTO live_schema.workflows AS w (namespace, id, name, name_order, created_at)
SELECT s.namespace, s.id, s.name, s.name_order, s.created_at
FROM shadow_schema.workflows AS s
INNER JOIN unnest($1::text[], $2::text[]) AS k (namespace, id) ON s.namespace = k.namespace AND s.id = k.id
ORDER BY s.namespace, s.id
ON CONFLICT (namespace, id) DO UPDATE
SET name = excluded.name, name_order = excluded.name_order, created_at = excluded.created_at
