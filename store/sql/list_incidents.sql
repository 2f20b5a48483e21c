-- Incidents with where their partition stands now; several of one partition come together, each with the same standing.
SELECT
    i.id,
    i.kind,
    i.consumer_group,
    i.topic,
    i.partition,
    i.from_offset,
    i.to_offset,
    i.detail,
    i.opened_at,
    i.resolved_at,
    i.resolved_by,
    i.resolution,
    i.resolution_reason,
    i.accepted_from,
    i.accepted_to,
    coalesce(p.state, '') AS state,
    p.next_offset
FROM incidents AS i
LEFT JOIN positions AS p
    ON i.consumer_group = p.consumer_group AND i.topic = p.topic AND i.partition = p.partition
WHERE
    ($1::text IS NULL OR i.topic = $1)
    AND ($2::integer IS NULL OR i.partition = $2)
    AND ($3::text IS NULL OR i.kind = $3)
    AND (i.resolved_at IS NULL OR $4::boolean)
ORDER BY i.id DESC
LIMIT $5
