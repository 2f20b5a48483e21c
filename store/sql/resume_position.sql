-- Lifts a halt, if the position is still the one that the operator was shown; the row stays locked until the end of the
-- transaction. Without a claim token whoever holds the partition is fenced, and claims it anew. What the log was known by
-- is forgotten where the operator accepts another log.
UPDATE positions
SET
    state = 'live',
    next_offset = $5,
    claim_token = NULL,
    owner = NULL,
    anchor_offset = CASE WHEN $6::boolean THEN anchor_offset END,
    anchor = CASE WHEN $6::boolean THEN anchor END,
    topic_id = CASE WHEN $6::boolean THEN topic_id END,
    moved_at = CASE WHEN next_offset = $5 THEN moved_at ELSE now() END
WHERE consumer_group = $1 AND topic = $2 AND partition = $3 AND next_offset = $4 AND state = 'halted'
