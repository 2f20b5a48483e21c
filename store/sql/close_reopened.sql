-- The old table has what these letters hold: they are what they were before the swap, unless they were redriven again.
UPDATE live_schema.dead_letters AS d
SET
    key = r.key,
    value = r.value,
    header_keys = r.header_keys,
    header_values = r.header_values,
    reason = r.reason,
    field = r.field,
    detail = r.detail,
    redrives = r.redrives,
    redrive_outcome = r.redrive_outcome,
    redrive_at = r.redrive_at,
    redrive_by = r.redrive_by,
    purged_at = r.purged_at,
    purged_by = r.purged_by,
    purge_reason = r.purge_reason
FROM shadow_schema.reopened AS r
WHERE d.id = r.id AND d.redrive_outcome IS DISTINCT FROM 'applied'
