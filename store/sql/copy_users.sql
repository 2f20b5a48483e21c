-- Gives the shadow's users the rows that they have in the table.
INSERT INTO shadow_schema.users AS u (id, created_at)
SELECT l.id, l.created_at
FROM live_schema.users AS l
ORDER BY l.id
ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at
