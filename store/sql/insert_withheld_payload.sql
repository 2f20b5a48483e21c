INSERT INTO withheld_payloads (consumer_group, topic, partition, "offset", execution_id, fields, codes, value)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT ON CONSTRAINT withheld_payload_is_kept_once DO NOTHING
