-- Notes what redriving open letters came to; a letter that is not open any more is left alone, and missing in the answer.
UPDATE dead_letters AS d
SET
    redrives = d.redrives + 1,
    redrive_outcome = r.outcome,
    redrive_at = now(),
    redrive_by = $3
FROM unnest($1::bigint [], $2::text []) AS r (id, outcome)
WHERE
    d.id = r.id
    AND d.purged_at IS NULL
    AND (d.redrive_outcome IS NULL OR d.redrive_outcome NOT IN ('applied', 'skipped'))
RETURNING d.id
