-- An execution and its descendants, generation by generation, as many as are wanted. Nobody is his own ancestor.
WITH RECURSIVE family AS (
    SELECT
        e.id,
        0 AS depth,
        array[e.id] AS path
    FROM execution_rows AS e
    WHERE e.namespace = $1 AND e.id = $2 AND ($3 OR e.deleted_at IS NULL)
    UNION ALL
    SELECT
        child.id,
        f.depth + 1 AS depth,
        f.path || child.id AS path
    FROM family AS f
    CROSS JOIN LATERAL (
        SELECT c.id
        FROM execution_rows AS c
        WHERE
            c.namespace = $1
            AND c.parent ->> 'id' = f.id::text
            AND c.parent IS NOT NULL
            AND ($3 OR c.deleted_at IS NULL)
        ORDER BY c.started_at, c.id
        LIMIT $5
    ) AS child
    WHERE f.depth < $4 AND child.id <> all(f.path)
)

SELECT
    f.id,
    f.depth,
    f.path[f.depth] AS parent_id
FROM family AS f
LIMIT $5
