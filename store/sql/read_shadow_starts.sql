-- Where the shadow was begun, of partitions whose log had lost its beginning.
SELECT topic, partition, to_offset
FROM shadow_schema.incidents
WHERE kind = 'log_start'
