-- The guard: moves positions only for whoever holds the claim, and only from where it believes them to be.
-- The rows are locked in one order first, so that two batches cannot wait for each other.
WITH moves AS (
    SELECT * FROM unnest(
        $2::text[], $3::integer[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bytea[]
    )
        AS m (topic, partition, claim_token, from_offset, next_offset, anchor_offset, anchor)
),

held AS (
    SELECT p.topic, p.partition
    FROM positions AS p
    INNER JOIN moves AS m ON p.topic = m.topic AND p.partition = m.partition
    WHERE
        p.consumer_group = $1
        AND p.claim_token = m.claim_token
        AND p.next_offset = m.from_offset
        AND p.state = 'live'
    ORDER BY p.topic, p.partition
    FOR NO KEY UPDATE OF p
)

UPDATE positions AS p
SET
    next_offset = m.next_offset,
    anchor_offset = coalesce(m.anchor_offset, p.anchor_offset),
    anchor = coalesce(m.anchor, p.anchor),
    moved_at = now()
FROM moves AS m
INNER JOIN held AS h ON m.topic = h.topic AND m.partition = h.partition
WHERE
    p.consumer_group = $1
    AND p.topic = m.topic
    AND p.partition = m.partition
    AND p.claim_token = m.claim_token
    AND p.next_offset = m.from_offset
RETURNING p.topic, p.partition
