-- The fold of the old table did not refuse these.
DELETE FROM live_schema.dead_letters AS d
USING shadow_schema.dead_letters AS s
WHERE
    d.topic = s.topic
    AND d.partition = s.partition
    AND d."offset" = s."offset"
    AND d.value_digest = s.value_digest
    AND d.consumer_group = s.consumer_group
