-- What the fold of the shadow withholds, but of executions that it has not: a purge covers those.
INSERT INTO live_schema.withheld_payloads (
    consumer_group, topic, partition, "offset", execution_id, fields, codes, value, first_seen_at
)
SELECT w.consumer_group, w.topic, w.partition, w."offset", w.execution_id, w.fields, w.codes, w.value, w.first_seen_at
FROM shadow_schema.withheld_payloads AS w
WHERE EXISTS (SELECT FROM shadow_schema.workflow_executions AS e WHERE e.id = w.execution_id)
ON CONFLICT ON CONSTRAINT withheld_payload_is_kept_once DO NOTHING
