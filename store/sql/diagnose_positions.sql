SELECT
    topic,
    partition,
    next_offset,
    state,
    owner,
    fold_version,
    topic_id
FROM positions
WHERE consumer_group = $1
ORDER BY topic, partition
