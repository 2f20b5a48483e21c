UPDATE incidents
SET
    resolved_at = now(),
    resolved_by = $4,
    resolution = $5,
    resolution_reason = $6,
    accepted_from = $7,
    accepted_to = $8
WHERE consumer_group = $1 AND topic = $2 AND partition = $3 AND resolved_at IS NULL
RETURNING id
