-- Claims partitions under a new token; a partition that has no row yet begins at the log's start.
INSERT INTO positions AS p (
    consumer_group, topic, partition, next_offset, claim_token, owner, claimed_at, fold_version
)
SELECT
    $1,
    c.topic,
    c.partition,
    c.log_start,
    $2,
    $3,
    now(),
    $4
FROM unnest($5::text[], $6::integer[], $7::bigint[]) AS c (topic, partition, log_start)
ORDER BY c.topic COLLATE "C", c.partition
ON CONFLICT (consumer_group, topic, partition) DO UPDATE
SET claim_token = excluded.claim_token, owner = excluded.owner, claimed_at = excluded.claimed_at
RETURNING p.topic, p.partition, p.next_offset, p.claim_token, p.state, p.anchor_offset, p.anchor, p.fold_version, (p.xmax = 0) AS created
