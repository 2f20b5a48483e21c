-- Gives users the rows that they have in the shadow.
INSERT INTO live_schema.users AS u (id, created_at)
SELECT s.id, s.created_at
FROM shadow_schema.users AS s
WHERE s.id = any($1::text[])
ORDER BY s.id
ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at
