INSERT INTO dead_letters (
    consumer_group, topic, partition, "offset", record_timestamp_ms, key, value, header_keys, header_values,
    reason, field, detail, value_digest
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, sha256(coalesce($7::bytea, '')))
ON CONFLICT ON CONSTRAINT dead_letter_is_kept_once DO NOTHING
