-- The first lock of a batch, so that a swap, which locks the table of purges, never waits for a batch that waits for it.
SELECT revoked_at IS NOT NULL AS revoked
FROM purges
WHERE id = $1
FOR UPDATE
