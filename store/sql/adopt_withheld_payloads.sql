INSERT INTO live_schema.withheld_payloads (
    consumer_group, topic, partition, "offset", execution_id, fields, codes, value, first_seen_at
)
SELECT consumer_group, topic, partition, "offset", execution_id, fields, codes, value, first_seen_at
FROM shadow_schema.withheld_payloads
ON CONFLICT ON CONSTRAINT withheld_payload_is_kept_once DO NOTHING
