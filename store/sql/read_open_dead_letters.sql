-- The dead letters in some ranges of offsets, but those that were redriven: the table has these.
SELECT d.topic, d.partition, d."offset", d.value_digest
FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[]) AS r (topic, partition, from_offset, next_offset)
INNER JOIN live_schema.dead_letters AS d
    ON
        r.topic = d.topic
        AND r.partition = d.partition
        AND d."offset" >= r.from_offset
        AND d."offset" < r.next_offset
WHERE
    (d.redrive_outcome IS NULL OR d.redrive_outcome NOT IN ('applied', 'skipped'))
    AND d.consumer_group IN (SELECT p.consumer_group FROM live_schema.positions AS p)
