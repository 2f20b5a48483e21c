-- Statistics that are kept while events are applied (docs/decisions/0015-statistics-from-deltas.md).

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '0'; -- ten million executions that are there already take a few minutes

-- What changed: written by the transaction that changes executions, never updated, taken away when it is merged.
CREATE TABLE statistics_deltas (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    namespace text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    axis text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    start timestamptz NOT NULL,
    -- There are 1,900 bins at most, and two bytes keep histograms small.
    -- squawk-ignore prefer-bigint-over-smallint
    bin smallint,
    runs bigint NOT NULL,
    chains bigint NOT NULL,
    total_ms numeric NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000);
COMMENT ON TABLE statistics_deltas IS 'what the executions changed of the statistics and is not merged into them yet';
COMMENT ON COLUMN statistics_deltas.axis IS 'started: by the time of the start, with the queue delay; ended: by that of the end, with the duration';
COMMENT ON COLUMN statistics_deltas.start IS 'the first moment of the five minutes it counts in';
COMMENT ON COLUMN statistics_deltas.bin IS 'of the duration or the delay, see duration_bin; NULL without one';
COMMENT ON COLUMN statistics_deltas.chains IS 'those of the runs that are the last of their chain';
CREATE INDEX statistics_deltas_by_xid ON statistics_deltas (xid);

CREATE TABLE execution_statistics (
    namespace text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    axis text COLLATE "C" NOT NULL,
    -- squawk-ignore prefer-bigint-over-smallint
    minutes smallint NOT NULL, -- one of four
    start timestamptz NOT NULL,
    status text COLLATE "C" NOT NULL,
    runs bigint NOT NULL,
    chains bigint NOT NULL,
    timed bigint NOT NULL,
    total_ms numeric NOT NULL,
    -- squawk-ignore prefer-bigint-over-smallint
    bins smallint [],
    bin_runs bigint [],
    bin_ms numeric [],
    PRIMARY KEY (namespace, workflow_id, axis, minutes, start, status),
    CONSTRAINT minutes_are_known CHECK (minutes IN (0, 5, 60, 1440))
) WITH (fillfactor = 80);
COMMENT ON TABLE execution_statistics IS 'executions counted and timed by workflow, span of time and status; hidden ones count nothing';
COMMENT ON COLUMN execution_statistics.workflow_id IS 'empty: of all workflows of the namespace';
COMMENT ON COLUMN execution_statistics.minutes IS 'how long the span is; 0: all of time';
COMMENT ON COLUMN execution_statistics.timed IS 'runs that have a duration, or a delay';
COMMENT ON COLUMN execution_statistics.bins IS 'a histogram: bin_runs of the timed runs are in a bin, and took bin_ms together';

CREATE TABLE statistics_mark (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    merged_below xid8 NOT NULL
);
COMMENT ON TABLE statistics_mark IS 'deltas of transactions before this one are merged: what is left of them is dead, and passed over';
INSERT INTO statistics_mark (merged_below) VALUES ('0');

-- Bins are 2 % wide, so that a value in the middle of one is within 1 % of any other. What takes no time has its own.
CREATE FUNCTION duration_bin(ms bigint) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN ms > 0 THEN floor(ln(ms::double precision) / ln(1.02::double precision))::smallint + 1 WHEN ms <= 0 THEN 0 END;

-- What an execution counts for. A run that another run of its chain goes on for is not the last of the chain.
CREATE FUNCTION statistics_of(
    status text,
    started_at timestamptz,
    completed_at timestamptz,
    duration_ms bigint,
    register_started_at timestamptz,
    scheduled_for timestamptz,
    next_run_id text,
    deleted_at timestamptz
) RETURNS TABLE (axis text, start timestamptz, bin smallint, chains integer, ms bigint)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT
        'started',
        date_bin('5 minutes', started_at, '2000-01-01 00:00:00+00'),
        duration_bin(d.ms),
        0,
        coalesce(d.ms, 0)
    FROM (
        SELECT greatest(0, floor(extract(epoch FROM register_started_at - scheduled_for) * 1000))::bigint
        WHERE register_started_at IS NOT NULL AND scheduled_for IS NOT NULL
        UNION ALL
        SELECT NULL
        WHERE register_started_at IS NULL OR scheduled_for IS NULL
    ) AS d (ms)
    WHERE deleted_at IS NULL AND started_at IS NOT NULL
    UNION ALL
    SELECT
        'ended',
        date_bin('5 minutes', completed_at, '2000-01-01 00:00:00+00'),
        duration_bin(duration_ms),
        CASE
            WHEN status = 'continued_as_new' OR (next_run_id IS NOT NULL AND status IN ('failed', 'timed_out')) THEN 0
            ELSE 1
        END,
        coalesce(duration_ms, 0)
    WHERE deleted_at IS NULL AND completed_at IS NOT NULL
$$;

-- Called after every statement that changes executions, whoever sends it. The tables of statistics are those beside
-- the table of executions: a repair writes into the live one while it looks into another schema.
CREATE FUNCTION count_changes() RETURNS trigger
    LANGUAGE plpgsql
AS $$
DECLARE
    looked_into text;
BEGIN
    IF current_schema() IS DISTINCT FROM tg_table_schema THEN
        looked_into := current_setting('search_path');
        PERFORM set_config('search_path', quote_ident(tg_table_schema), true);
    END IF;
    IF tg_op = 'INSERT' THEN
        INSERT INTO statistics_deltas (namespace, workflow_id, axis, status, start, bin, runs, chains, total_ms)
        SELECT n.namespace, n.workflow_id, s.axis, n.status, s.start, s.bin, count(*), sum(s.chains), sum(s.ms)
        FROM new_rows AS n
        CROSS JOIN LATERAL statistics_of(
            n.status, n.started_at, n.completed_at, n.duration_ms, n.register_started_at, n.scheduled_for,
            n.next_run_id, n.deleted_at
        ) AS s
        GROUP BY n.namespace, n.workflow_id, s.axis, n.status, s.start, s.bin;
    ELSIF tg_op = 'DELETE' THEN
        INSERT INTO statistics_deltas (namespace, workflow_id, axis, status, start, bin, runs, chains, total_ms)
        SELECT o.namespace, o.workflow_id, s.axis, o.status, s.start, s.bin, -count(*), -sum(s.chains), -sum(s.ms)
        FROM old_rows AS o
        CROSS JOIN LATERAL statistics_of(
            o.status, o.started_at, o.completed_at, o.duration_ms, o.register_started_at, o.scheduled_for,
            o.next_run_id, o.deleted_at
        ) AS s
        GROUP BY o.namespace, o.workflow_id, s.axis, o.status, s.start, s.bin;
    ELSE
        -- A full join, for it is a hash join however few rows there were when the plan was made.
        INSERT INTO statistics_deltas (namespace, workflow_id, axis, status, start, bin, runs, chains, total_ms)
        SELECT
            c.namespace, c.workflow_id, s.axis, c.status, s.start, s.bin,
            sum(c.sign), sum(c.sign * s.chains), sum(c.sign * s.ms)
        FROM old_rows AS o
        FULL JOIN new_rows AS n ON o.id = n.id
        CROSS JOIN LATERAL (
            VALUES
            (
                -1, o.namespace, o.workflow_id, o.status, o.started_at, o.completed_at, o.duration_ms,
                o.register_started_at, o.scheduled_for, o.next_run_id, o.deleted_at
            ),
            (
                1, n.namespace, n.workflow_id, n.status, n.started_at, n.completed_at, n.duration_ms,
                n.register_started_at, n.scheduled_for, n.next_run_id, n.deleted_at
            )
        ) AS c (
            sign, namespace, workflow_id, status, started_at, completed_at, duration_ms, register_started_at,
            scheduled_for, next_run_id, deleted_at
        )
        CROSS JOIN LATERAL statistics_of(
            c.status, c.started_at, c.completed_at, c.duration_ms, c.register_started_at, c.scheduled_for,
            c.next_run_id, c.deleted_at
        ) AS s
        WHERE
            (
                o.namespace, o.workflow_id, o.status, o.started_at, o.completed_at, o.duration_ms,
                o.register_started_at, o.scheduled_for, o.next_run_id, o.deleted_at
            ) IS DISTINCT FROM (
                n.namespace, n.workflow_id, n.status, n.started_at, n.completed_at, n.duration_ms,
                n.register_started_at, n.scheduled_for, n.next_run_id, n.deleted_at
            )
        GROUP BY c.namespace, c.workflow_id, s.axis, c.status, s.start, s.bin
        HAVING sum(c.sign) <> 0 OR sum(c.sign * s.chains) <> 0 OR sum(c.sign * s.ms) <> 0;
    END IF;
    IF looked_into IS NOT NULL THEN
        PERFORM set_config('search_path', looked_into, true);
    END IF;
    RETURN NULL;
END
$$;

-- What the executions say and the statistics do not, merged or not: nothing, unless somebody kept the triggers from
-- counting. As deltas it mends them.
CREATE VIEW statistics_missing AS
WITH counted AS (
    SELECT e.namespace, e.workflow_id, s.axis, e.status, s.start, s.bin, 1 AS runs, s.chains, s.ms
    FROM workflow_executions AS e
    CROSS JOIN LATERAL statistics_of(
        e.status, e.started_at, e.completed_at, e.duration_ms, e.register_started_at, e.scheduled_for,
        e.next_run_id, e.deleted_at
    ) AS s
    UNION ALL
    SELECT namespace, workflow_id, axis, status, start, bin, -runs, -chains, -total_ms
    FROM statistics_deltas
    UNION ALL
    SELECT namespace, workflow_id, axis, status, start, NULL, timed - runs, -chains, 0
    FROM execution_statistics
    WHERE minutes = 5 AND workflow_id <> ''
    UNION ALL
    SELECT e.namespace, e.workflow_id, e.axis, e.status, e.start, b.bin, -b.runs, 0, -b.ms
    FROM execution_statistics AS e
    CROSS JOIN LATERAL unnest(e.bins, e.bin_runs, e.bin_ms) AS b (bin, runs, ms)
    WHERE e.minutes = 5 AND e.workflow_id <> ''
)

SELECT
    namespace, workflow_id, axis, status, start, bin,
    sum(runs) AS runs, sum(chains)::bigint AS chains, sum(ms) AS total_ms
FROM (
    -- Chains are not kept by bin.
    SELECT namespace, workflow_id, axis, status, start, bin, runs, 0 AS chains, ms FROM counted
    UNION ALL
    SELECT namespace, workflow_id, axis, status, start, NULL, 0, chains, 0 FROM counted WHERE chains <> 0
) AS apart
GROUP BY namespace, workflow_id, axis, status, start, bin
HAVING sum(runs) <> 0 OR sum(chains) <> 0 OR sum(ms) <> 0;

-- Counts every execution there is, into statistics in which nothing is counted yet: five times faster than merging deltas.
CREATE FUNCTION count_all_executions() RETURNS void
    LANGUAGE sql SET work_mem = '32MB'
AS $$
    WITH finest AS MATERIALIZED (
        SELECT
            e.namespace, e.workflow_id, s.axis, e.status, s.start, s.bin,
            count(*) AS runs, sum(s.chains) AS chains, sum(s.ms) AS ms
        FROM workflow_executions AS e
        CROSS JOIN LATERAL statistics_of(
            e.status, e.started_at, e.completed_at, e.duration_ms, e.register_started_at, e.scheduled_for,
            e.next_run_id, e.deleted_at
        ) AS s
        GROUP BY e.namespace, e.workflow_id, s.axis, e.status, s.start, s.bin
    ),
    hours AS MATERIALIZED (
        SELECT
            namespace, workflow_id, axis, status, date_bin('1 hour', start, '2000-01-01 00:00:00+00') AS start, bin,
            sum(runs) AS runs, sum(chains) AS chains, sum(ms) AS ms
        FROM finest
        GROUP BY namespace, workflow_id, axis, status, date_bin('1 hour', start, '2000-01-01 00:00:00+00'), bin
    ),
    days AS MATERIALIZED (
        SELECT
            namespace, workflow_id, axis, status, date_bin('1 day', start, '2000-01-01 00:00:00+00') AS start, bin,
            sum(runs) AS runs, sum(chains) AS chains, sum(ms) AS ms
        FROM hours
        GROUP BY namespace, workflow_id, axis, status, date_bin('1 day', start, '2000-01-01 00:00:00+00'), bin
    ),
    ever AS MATERIALIZED (
        SELECT
            namespace, workflow_id, axis, status, '2000-01-01 00:00:00+00'::timestamptz AS start, bin,
            sum(runs) AS runs, sum(chains) AS chains, sum(ms) AS ms
        FROM days
        GROUP BY namespace, workflow_id, axis, status, bin
    ),
    cells AS (
        SELECT namespace, workflow_id, axis, 5 AS minutes, start, status, bin, runs, chains, ms FROM finest
        UNION ALL
        SELECT namespace, workflow_id, axis, 60, start, status, bin, runs, chains, ms FROM hours
        UNION ALL
        SELECT namespace, workflow_id, axis, 1440, start, status, bin, runs, chains, ms FROM days
        UNION ALL
        SELECT namespace, workflow_id, axis, 0, start, status, bin, runs, chains, ms FROM ever
        UNION ALL
        SELECT namespace, '', axis, 5, start, status, bin, sum(runs), sum(chains), sum(ms)
        FROM finest
        GROUP BY namespace, axis, start, status, bin
        UNION ALL
        SELECT namespace, '', axis, 60, start, status, bin, sum(runs), sum(chains), sum(ms)
        FROM hours
        GROUP BY namespace, axis, start, status, bin
        UNION ALL
        SELECT namespace, '', axis, 1440, start, status, bin, sum(runs), sum(chains), sum(ms)
        FROM days
        GROUP BY namespace, axis, start, status, bin
        UNION ALL
        SELECT namespace, '', axis, 0, start, status, bin, sum(runs), sum(chains), sum(ms)
        FROM ever
        GROUP BY namespace, axis, start, status, bin
    )
    INSERT INTO execution_statistics (
        namespace, workflow_id, axis, minutes, start, status, runs, chains, timed, total_ms, bins, bin_runs, bin_ms
    )
    SELECT
        namespace, workflow_id, axis, minutes, start, status,
        sum(runs),
        sum(chains),
        coalesce(sum(runs) FILTER (WHERE bin IS NOT NULL), 0),
        sum(ms),
        array_agg(bin ORDER BY bin) FILTER (WHERE bin IS NOT NULL),
        array_agg(runs::bigint ORDER BY bin) FILTER (WHERE bin IS NOT NULL),
        array_agg(ms ORDER BY bin) FILTER (WHERE bin IS NOT NULL)
    FROM cells
    GROUP BY namespace, workflow_id, axis, minutes, start, status
$$;

-- Nobody may change an execution between this count and the first that the triggers count.
LOCK TABLE workflow_executions IN SHARE ROW EXCLUSIVE MODE;
SELECT count_all_executions();

CREATE TRIGGER count_inserted AFTER INSERT ON workflow_executions
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_changes();
CREATE TRIGGER count_updated AFTER UPDATE ON workflow_executions
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_changes();
CREATE TRIGGER count_deleted AFTER DELETE ON workflow_executions
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_changes();

-- The shortest and the longest run of a workflow, and the slow ones.
CREATE INDEX IF NOT EXISTS workflow_executions_by_duration
    ON workflow_executions (namespace, workflow_id, duration_ms)
    WHERE duration_ms IS NOT NULL AND deleted_at IS NULL;
