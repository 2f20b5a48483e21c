-- Puts every group where the old table stood, and takes all claims away.
UPDATE live_schema.positions AS p
SET
    next_offset = s.next_offset,
    anchor_offset = s.anchor_offset,
    anchor = s.anchor,
    claim_token = NULL,
    owner = NULL,
    topic_id = s.topic_id,
    state = s.state,
    fold_version = s.fold_version,
    moved_at = s.moved_at
FROM shadow_schema.set_aside AS s
WHERE s.consumer_group = p.consumer_group AND s.topic = p.topic AND s.partition = p.partition
