SELECT
    id,
    topic,
    partition,
    "offset",
    reason,
    field,
    detail,
    length(value) AS value_bytes,
    first_seen_at
FROM dead_letters
WHERE ($1::text IS NULL OR reason = $1) AND ($2::text IS NULL OR topic = $2)
ORDER BY id DESC
LIMIT $3
