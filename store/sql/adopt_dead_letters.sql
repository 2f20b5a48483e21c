-- Records that the fold of the shadow refuses, and the one before did not.
WITH made AS (
    INSERT INTO live_schema.dead_letters (
        consumer_group, topic, partition, "offset", record_timestamp_ms, key, value, header_keys, header_values,
        reason, field, detail, first_seen_at, value_digest
    )
    SELECT
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
        first_seen_at,
        value_digest
    FROM shadow_schema.dead_letters
    ON CONFLICT ON CONSTRAINT dead_letter_is_kept_once DO NOTHING
    RETURNING id
)

INSERT INTO shadow_schema.adopted (id)
SELECT id FROM made
