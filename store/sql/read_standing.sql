-- One position with its open incidents in one look, so that both belong to the same moment.
SELECT
    p.next_offset,
    p.state,
    array(
        SELECT i.id
        FROM incidents AS i
        WHERE
            i.consumer_group = p.consumer_group
            AND i.topic = p.topic
            AND i.partition = p.partition
            AND i.resolved_at IS NULL
        ORDER BY i.id
    ) AS incident_ids,
    array(
        SELECT i.kind
        FROM incidents AS i
        WHERE
            i.consumer_group = p.consumer_group
            AND i.topic = p.topic
            AND i.partition = p.partition
            AND i.resolved_at IS NULL
        ORDER BY i.id
    ) AS incident_kinds
FROM positions AS p
WHERE p.consumer_group = $1 AND p.topic = $2 AND p.partition = $3
