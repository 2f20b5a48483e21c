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
    first_seen_at
FROM dead_letters
WHERE id = $1
