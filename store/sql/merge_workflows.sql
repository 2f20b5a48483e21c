-- Keeps every workflow that an event named; of its names the one with the greater order wins.
INSERT INTO workflows AS t (namespace, id, created_at, name_order, name)
SELECT e.namespace, e.id, e.created_at, e.name_order, e.name
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bytea[], $5::text[])
    AS e (namespace, id, created_at, name_order, name)
WHERE NOT EXISTS (
    SELECT FROM workflows AS t
    WHERE t.namespace = e.namespace AND t.id = e.id AND t.created_at <= e.created_at AND t.name_order >= e.name_order
)
ORDER BY e.namespace, e.id
ON CONFLICT (namespace, id) DO UPDATE SET
    created_at = least(t.created_at, excluded.created_at),
    name_order = greatest(t.name_order, excluded.name_order),
    name = CASE WHEN excluded.name_order > t.name_order THEN excluded.name ELSE t.name END
WHERE t.created_at > excluded.created_at OR t.name_order < excluded.name_order
