-- How far each partition is applied, by the group that is furthest: groups share the table.
SELECT DISTINCT ON (topic, partition)
    topic,
    partition,
    next_offset,
    state = 'halted' AS halted,
    moved_at,
    greatest(0, extract(epoch FROM now() - moved_at))::float8 AS age_seconds
FROM positions
ORDER BY topic ASC, partition ASC, next_offset DESC
