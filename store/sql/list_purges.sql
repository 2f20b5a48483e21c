-- The newest first; `standing` is what still covers rows by itself.
SELECT
    p.id,
    p.namespace,
    p.workflows,
    p.statuses,
    p.ended_before,
    p.deleted_before,
    p.begun_at,
    p.begun_by,
    p.reason,
    p.executions,
    p.worked_at,
    p.finished_at,
    p.revoked_at,
    p.revoked_by,
    s.id IS NOT NULL AS standing
FROM purges AS p
LEFT JOIN standing_purges AS s ON p.id = s.id
WHERE
    ($1::bigint[] IS NULL OR p.id = any($1))
    AND (NOT $2 OR s.id IS NOT NULL)
ORDER BY p.id DESC
LIMIT $3
