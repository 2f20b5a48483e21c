SELECT topic, partition, min(next_offset) AS next_offset
FROM shadow_schema.set_aside
GROUP BY topic, partition
ORDER BY topic, partition
