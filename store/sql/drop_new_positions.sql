-- Forgets positions that the old table does not know: their partitions are read from the start of their logs.
DELETE FROM live_schema.positions AS p
WHERE NOT EXISTS (
    SELECT FROM shadow_schema.set_aside AS s
    WHERE s.consumer_group = p.consumer_group AND s.topic = p.topic AND s.partition = p.partition
)
