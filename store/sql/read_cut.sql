-- How far the table stands in every partition, whichever group brought it there.
SELECT
    topic,
    partition,
    max(next_offset) AS next_offset,
    bool_or(state = 'halted') AS halted,
    max(fold_version) AS fold_version,
    (array_agg(topic_id ORDER BY next_offset DESC))[1] AS topic_id
FROM live_schema.positions
GROUP BY topic, partition
ORDER BY topic, partition
