SELECT topic, partition, max(next_offset) AS next_offset
FROM shadow_schema.positions
GROUP BY topic, partition
ORDER BY topic, partition
