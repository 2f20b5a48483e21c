-- Keeps every user that an event named.
INSERT INTO users AS t (id, created_at)
SELECT e.id, e.created_at
FROM unnest($1::text[], $2::timestamptz[]) AS e (id, created_at)
WHERE NOT EXISTS (SELECT FROM users AS t WHERE t.id = e.id AND t.created_at <= e.created_at)
ORDER BY e.id
ON CONFLICT (id) DO UPDATE SET created_at = least(t.created_at, excluded.created_at)
WHERE t.created_at > excluded.created_at
