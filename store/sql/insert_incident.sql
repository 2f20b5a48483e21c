INSERT INTO incidents (consumer_group, kind, topic, partition, from_offset, to_offset, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7)
