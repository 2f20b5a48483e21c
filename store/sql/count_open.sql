SELECT
    (SELECT count(*) FROM incidents WHERE resolved_at IS NULL) AS incidents,
    (
        SELECT count(*)
        FROM dead_letters
        WHERE purged_at IS NULL AND (redrive_outcome IS NULL OR redrive_outcome NOT IN ('applied', 'skipped'))
    ) AS dead_letters
