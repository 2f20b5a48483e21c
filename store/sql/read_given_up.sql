-- The offsets that operators gave up, in the order in which they decided.
SELECT topic, partition, accepted_from, accepted_to, kind, resolved_at
FROM live_schema.incidents
WHERE resolution = 'accepted'
ORDER BY resolved_at, id
