-- Drops the bytes of letters; what else is known about them stays.
UPDATE dead_letters
SET
    key = NULL,
    value = NULL,
    header_keys = '{}',
    header_values = '{}',
    purged_at = now(),
    purged_by = $2,
    purge_reason = $3
WHERE id = any($1::bigint []) AND purged_at IS NULL
RETURNING id
