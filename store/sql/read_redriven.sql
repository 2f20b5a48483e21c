-- The letters that are in the table because somebody redrove them: none of them ever leaves again.
SELECT id
FROM live_schema.dead_letters
WHERE redrive_outcome = 'applied'
ORDER BY id
