SELECT
    id,
    consumer_group,
    topic,
    partition,
    "offset",
    record_timestamp_ms,
    key,
    value,
    header_keys,
    header_values,
    reason,
    field,
    detail,
    length(value) AS value_bytes,
    first_seen_at,
    CASE
        WHEN redrive_outcome IN ('applied', 'skipped') THEN 'redriven'
        WHEN purged_at IS NOT NULL THEN 'purged'
        ELSE 'open'
    END AS state,
    redrives,
    redrive_outcome,
    redrive_at,
    redrive_by,
    purged_at,
    purged_by,
    purge_reason
FROM dead_letters
WHERE id = any($1::bigint [])
ORDER BY id DESC
