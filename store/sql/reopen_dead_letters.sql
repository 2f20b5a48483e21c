-- The new table lacks what these letters hold: they are open again, with their bytes.
UPDATE live_schema.dead_letters AS d
SET
    key = s.key,
    value = s.value,
    header_keys = s.header_keys,
    header_values = s.header_values,
    reason = s.reason,
    field = s.field,
    detail = s.detail,
    redrive_outcome = s.reason,
    purged_at = NULL,
    purged_by = NULL,
    purge_reason = NULL
FROM shadow_schema.dead_letters AS s, shadow_schema.reopened AS r
WHERE
    d.id = r.id
    AND r.topic = s.topic
    AND r.partition = s.partition
    AND r."offset" = s."offset"
    AND r.value_digest = s.value_digest
