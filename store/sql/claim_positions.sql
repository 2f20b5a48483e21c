-- Claims partitions under a new token. A partition that has no row yet begins at the log's start, and belongs to the fold
-- that the table belongs to, whoever claims it; that its log has lost its beginning is recorded with the row or not at all.
WITH claimed AS (
    INSERT INTO positions AS p (
        consumer_group, topic, partition, next_offset, claim_token, owner, claimed_at, fold_version, topic_id
    )
    SELECT
        $1,
        c.topic,
        c.partition,
        c.log_start,
        $2,
        $3,
        now(),
        coalesce((SELECT max(held.fold_version) FROM positions AS held), $4),
        c.topic_id
    FROM unnest($5::text[], $6::integer[], $7::bigint[], $8::uuid[]) AS c (topic, partition, log_start, topic_id)
    ORDER BY c.topic COLLATE "C", c.partition
    ON CONFLICT (consumer_group, topic, partition) DO UPDATE
    SET
        claim_token = excluded.claim_token,
        owner = excluded.owner,
        claimed_at = excluded.claimed_at,
        topic_id = coalesce(p.topic_id, excluded.topic_id)
    RETURNING
        p.topic,
        p.partition,
        p.next_offset,
        p.claim_token,
        p.state,
        p.anchor_offset,
        p.anchor,
        p.fold_version,
        p.topic_id,
        (p.xmax = 0) AS is_new
),

begun_late AS (
    INSERT INTO incidents (consumer_group, kind, topic, partition, from_offset, to_offset, detail)
    SELECT
        $1,
        'log_start',
        n.topic,
        n.partition,
        0,
        n.next_offset,
        c.detail
    FROM claimed AS n
    INNER JOIN unnest($5::text[], $6::integer[], $9::text[]) AS c (topic, partition, detail)
        ON n.topic = c.topic AND n.partition = c.partition
    WHERE n.is_new AND n.next_offset > 0
)

SELECT
    topic,
    partition,
    next_offset,
    claim_token,
    state,
    anchor_offset,
    anchor,
    fold_version,
    topic_id,
    (is_new AND next_offset > 0) AS begins_late
FROM claimed
