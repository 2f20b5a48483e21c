-- Counts and times executions by axis, workflow ($3 = 'workflow') or span of time ($3 = 'start'), and status, from the
-- statistics and from what is not merged into them yet; with $10 also by bins of time, whatever the status.
-- $4 to $6 are the spans to add up, $7 and $8 the window that they make up together.
WITH mark AS MATERIALIZED (
    SELECT CASE WHEN merged_below > pg_snapshot_xmax(pg_current_snapshot()) THEN '0' ELSE merged_below END AS merged_below
    FROM statistics_mark
),

subjects AS (
    SELECT coalesce($2, '') AS workflow_id
    WHERE $3 <> 'workflow'
    UNION ALL
    SELECT id
    FROM workflows
    WHERE $3 = 'workflow' AND namespace = $1 AND ($2::text IS NULL OR id = $2)
),

merged AS (
    SELECT s.*
    FROM subjects AS w
    CROSS JOIN (VALUES ('started'), ('ended')) AS a (axis)
    CROSS JOIN unnest($4::smallint[], $5::timestamptz[], $6::timestamptz[]) AS span (minutes, since, until)
    CROSS JOIN LATERAL (
        SELECT *
        FROM execution_statistics AS e
        WHERE
            e.namespace = $1
            AND e.workflow_id = w.workflow_id
            AND e.axis = a.axis
            AND e.minutes = span.minutes
            AND e.start >= span.since
            AND e.start < span.until
        OFFSET 0
    ) AS s
),

deltas AS (
    SELECT *
    FROM statistics_deltas
    WHERE
        xid >= (SELECT merged_below FROM mark)
        AND namespace = $1
        AND ($2::text IS NULL OR workflow_id = $2)
        AND start >= $7
        AND start < $8
),

counted AS (
    SELECT workflow_id, start, axis, status, NULL::smallint AS bin, runs, chains, timed, total_ms
    FROM merged
    UNION ALL
    SELECT workflow_id, start, axis, status, NULL, runs, chains, CASE WHEN bin IS NULL THEN 0 ELSE runs END, total_ms
    FROM deltas
    UNION ALL
    SELECT m.workflow_id, m.start, m.axis, NULL, b.bin, b.runs, 0, b.runs, b.ms
    FROM merged AS m
    CROSS JOIN LATERAL unnest(m.bins, m.bin_runs, m.bin_ms) AS b (bin, runs, ms)
    WHERE $10
    UNION ALL
    SELECT workflow_id, start, axis, NULL, bin, runs, 0, runs, total_ms
    FROM deltas
    WHERE $10 AND bin IS NOT NULL
)

SELECT
    axis,
    CASE WHEN $3 = 'workflow' THEN workflow_id END AS workflow_id,
    CASE WHEN $3 = 'start' THEN date_bin($9::interval, start, '2000-01-01 00:00:00+00') END AS start,
    status,
    bin,
    sum(runs)::bigint AS runs,
    sum(chains)::bigint AS chains,
    sum(timed)::bigint AS timed,
    sum(total_ms) AS total_ms
FROM counted
GROUP BY 1, 2, 3, 4, 5
HAVING sum(runs) <> 0
ORDER BY 2, 3, 1, 4, 5
