UPDATE purges
SET finished_at = now()
WHERE id = $1
