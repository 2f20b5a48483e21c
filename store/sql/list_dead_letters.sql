-- The newest letters first; an event's type is looked for where an envelope has it, in the value or in a header.
SELECT
    id,
    consumer_group,
    topic,
    partition,
    "offset",
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
WHERE
    ($1::bigint [] IS NULL OR id = any($1))
    AND ($2::text IS NULL OR reason = $2)
    AND ($3::text IS NULL OR topic = $3)
    AND (
        $4::text IS NULL
        OR position(convert_to('"' || $4 || '"', 'UTF8') IN value) > 0
        OR convert_to($4, 'UTF8') = any(header_values)
    )
    AND ($5::timestamptz IS NULL OR first_seen_at >= $5)
    AND ($6::timestamptz IS NULL OR first_seen_at < $6)
    AND (
        $7
        OR (purged_at IS NULL AND (redrive_outcome IS NULL OR redrive_outcome NOT IN ('applied', 'skipped')))
    )
    AND ($8::bigint IS NULL OR id < $8)
ORDER BY id DESC
LIMIT $9
