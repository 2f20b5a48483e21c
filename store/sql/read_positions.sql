SELECT topic, partition, next_offset, claim_token, state, anchor_offset, anchor, fold_version, topic_id
FROM positions
WHERE consumer_group = $1
ORDER BY topic, partition
