-- Merges deltas, at most $1 of them, into the statistics: into spans of five minutes, hours, days and all of time, of
-- their workflow and of all workflows. Takes those of transactions that had ended before any that still runs, the oldest
-- first, so that everything below the mark is merged for good; what looks as if it came from the future was restored
-- from another server.
WITH bounds AS MATERIALIZED (
    SELECT
        pg_snapshot_xmin(pg_current_snapshot()) AS oldest,
        pg_snapshot_xmax(pg_current_snapshot()) AS next,
        (
            SELECT CASE WHEN merged_below > pg_snapshot_xmax(pg_current_snapshot()) THEN '0' ELSE merged_below END
            FROM statistics_mark
        ) AS merged_below
),

taken AS (
    DELETE FROM statistics_deltas
    WHERE
        ctid = ANY(ARRAY(
            SELECT ctid
            FROM statistics_deltas
            WHERE
                xid >= (SELECT merged_below FROM bounds)
                AND (xid < (SELECT oldest FROM bounds) OR xid >= (SELECT next FROM bounds))
            ORDER BY xid
            LIMIT $1
        ))
    RETURNING *
),

moved AS (
    UPDATE statistics_mark SET merged_below = t.merged_below
    FROM (
        SELECT CASE WHEN count(*) < $1 THEN max(b.oldest) ELSE least(max(t.xid), max(b.oldest)) END AS merged_below
        FROM taken AS t
        CROSS JOIN bounds AS b
        HAVING count(*) > 0
    ) AS t
),

finest AS (
    SELECT namespace, workflow_id, axis, status, start, bin, sum(runs) AS runs, sum(chains) AS chains, sum(total_ms) AS ms
    FROM taken
    GROUP BY namespace, workflow_id, axis, status, start, bin
),

hours AS (
    SELECT
        namespace, workflow_id, axis, status, date_bin('1 hour', start, '2000-01-01 00:00:00+00') AS start, bin,
        sum(runs) AS runs, sum(chains) AS chains, sum(ms) AS ms
    FROM finest
    GROUP BY namespace, workflow_id, axis, status, date_bin('1 hour', start, '2000-01-01 00:00:00+00'), bin
),

days AS (
    SELECT
        namespace, workflow_id, axis, status, date_bin('1 day', start, '2000-01-01 00:00:00+00') AS start, bin,
        sum(runs) AS runs, sum(chains) AS chains, sum(ms) AS ms
    FROM hours
    GROUP BY namespace, workflow_id, axis, status, date_bin('1 day', start, '2000-01-01 00:00:00+00'), bin
),

of_workflows AS (
    SELECT 5 AS minutes, namespace, workflow_id, axis, status, start, bin, runs, chains, ms FROM finest
    UNION ALL
    SELECT 60, namespace, workflow_id, axis, status, start, bin, runs, chains, ms FROM hours
    UNION ALL
    SELECT 1440, namespace, workflow_id, axis, status, start, bin, runs, chains, ms FROM days
    UNION ALL
    SELECT 0, namespace, workflow_id, axis, status, '2000-01-01 00:00:00+00', bin, sum(runs), sum(chains), sum(ms)
    FROM days
    GROUP BY namespace, workflow_id, axis, status, bin
),

added AS MATERIALIZED (
    SELECT minutes, namespace, workflow_id, axis, status, start, bin, runs, chains, ms FROM of_workflows
    UNION ALL
    SELECT minutes, namespace, '', axis, status, start, bin, sum(runs), sum(chains), sum(ms)
    FROM of_workflows
    GROUP BY minutes, namespace, axis, status, start, bin
),

standing AS MATERIALIZED (
    SELECT s.*
    FROM (SELECT DISTINCT minutes, namespace, workflow_id, axis, status, start FROM added) AS a
    INNER JOIN execution_statistics AS s USING (namespace, workflow_id, axis, minutes, start, status)
),

by_bin AS (
    SELECT
        minutes, namespace, workflow_id, axis, status, start, bin,
        sum(runs) AS runs, sum(chains) AS chains, sum(ms) AS ms
    FROM (
        SELECT minutes, namespace, workflow_id, axis, status, start, bin, runs, chains, ms FROM added
        UNION ALL
        SELECT minutes, namespace, workflow_id, axis, status, start, NULL, runs - timed, chains, 0 FROM standing
        UNION ALL
        SELECT s.minutes, s.namespace, s.workflow_id, s.axis, s.status, s.start, b.bin, b.runs, 0, b.ms
        FROM standing AS s
        CROSS JOIN LATERAL unnest(s.bins, s.bin_runs, s.bin_ms) AS b (bin, runs, ms)
    ) AS each
    GROUP BY minutes, namespace, workflow_id, axis, status, start, bin
),

merged AS MATERIALIZED (
    SELECT
        namespace, workflow_id, axis, minutes, start, status,
        sum(runs) AS runs,
        sum(chains) AS chains,
        coalesce(sum(runs) FILTER (WHERE bin IS NOT NULL), 0) AS timed,
        sum(ms) AS total_ms,
        array_agg(bin ORDER BY bin) FILTER (WHERE bin IS NOT NULL AND (runs <> 0 OR ms <> 0)) AS bins,
        array_agg(runs::bigint ORDER BY bin) FILTER (WHERE bin IS NOT NULL AND (runs <> 0 OR ms <> 0)) AS bin_runs,
        array_agg(ms ORDER BY bin) FILTER (WHERE bin IS NOT NULL AND (runs <> 0 OR ms <> 0)) AS bin_ms
    FROM by_bin
    GROUP BY namespace, workflow_id, axis, minutes, start, status
),

-- The order of transactions is not that of their commits: what goes may be merged before what came. So nothing is left
-- out that something is still to be added to.
gone AS (
    DELETE FROM execution_statistics AS s
    USING merged AS m
    WHERE
        m.runs = 0
        AND m.chains = 0
        AND m.bins IS NULL
        AND (s.namespace, s.workflow_id, s.axis, s.minutes, s.start, s.status)
        = (m.namespace, m.workflow_id, m.axis, m.minutes, m.start, m.status)
),

written AS (
    INSERT INTO execution_statistics (
        namespace, workflow_id, axis, minutes, start, status, runs, chains, timed, total_ms, bins, bin_runs, bin_ms
    )
    SELECT namespace, workflow_id, axis, minutes, start, status, runs, chains, timed, total_ms, bins, bin_runs, bin_ms
    FROM merged
    WHERE runs <> 0 OR chains <> 0 OR bins IS NOT NULL
    ON CONFLICT (namespace, workflow_id, axis, minutes, start, status) DO UPDATE SET
        runs = excluded.runs,
        chains = excluded.chains,
        timed = excluded.timed,
        total_ms = excluded.total_ms,
        bins = excluded.bins,
        bin_runs = excluded.bin_runs,
        bin_ms = excluded.bin_ms
)

SELECT count(*) AS deltas FROM taken
