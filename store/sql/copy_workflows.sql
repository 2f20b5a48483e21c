-- Gives the shadow's workflows the rows that they have in the table, but those that are rebuilt.
INSERT INTO shadow_schema.workflows AS w (namespace, id, name, name_order, created_at)
SELECT l.namespace, l.id, l.name, l.name_order, l.created_at
FROM live_schema.workflows AS l
ORDER BY l.namespace, l.id
ON CONFLICT (namespace, id) DO UPDATE
SET name = excluded.name, name_order = excluded.name_order, created_at = excluded.created_at
WHERE w.id <> all($1::text[])
