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
WHERE i.id = $1
