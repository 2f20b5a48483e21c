-- Puts every group where the shadow stands, and takes all claims away: whoever held one is fenced, and claims anew.
UPDATE live_schema.positions AS p
SET
    next_offset = s.next_offset,
    anchor_offset = s.anchor_offset,
    anchor = s.anchor,
    topic_id = coalesce(s.topic_id, p.topic_id),
    claim_token = NULL,
    owner = NULL,
    fold_version = $2,
    moved_at = now()
FROM shadow_schema.positions AS s
WHERE s.consumer_group = $1 AND p.topic = s.topic AND p.partition = s.partition
