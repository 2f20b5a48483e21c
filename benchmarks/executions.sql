-- Some executions of a table, as the fold of their events would have made them; only digests are drawn, too.
--
-- $1 the number of the first, $2 how many, $3 of how many in all, $4 the seed, $5 their ids one behind the other,
-- $6 the moment at which the table stands in microseconds, $7 noise, which does not compress.
--
-- tests/postgres/test_generated_table.py says which events each stands for, and folds them.
INSERT INTO workflow_executions (
    id, namespace, temporal_workflow_id, temporal_run_id, status_order, status, attempt, completed_at, reason,
    input_order, input, visibility_order, deleted_at, workflow_id_order, workflow_id, user_id_order, created_by,
    workflow_name_order, workflow_name, orchestrator_order, orchestrator, scheduled_for_order, scheduled_for,
    next_run_id_order, next_run_id, parent_order, parent, root_order, root, labels_order, labels, output_order, output,
    error_order, error, started_order, register_started_at, duration_order, register_duration_ms, progress_order,
    register_progress, activities_order, register_activities_executed, cancel_request_order,
    register_cancel_requested_at, highest_claim_order, lowest_claim_order, created_at, updated_at, applied_at
)
WITH drawn AS MATERIALIZED (
    SELECT
        n,
        substr($5::bytea, (16 * (n - $1::bigint))::integer + 1, 16) AS id,
        -- The first workflow of a thousand has two ninths of all executions, the last one in 4,500.
        floor(1000 * power(pg_temp.draw(n, $4::bigint, 1), 4.6))::integer AS workflow,
        pg_temp.draw(n, $4, 2) AS of_user,
        pg_temp.draw(n, $4, 3) AS of_status,
        pg_temp.draw(n, $4, 4) AS of_rest,
        pg_temp.draw(n, $4, 5) AS of_size,
        int8send(hashint8extended(n, $4 + 6)) AS digest,
        int4send(CASE WHEN n % 50 = 11 THEN 2 ELSE 1 END) AS attempt,
        $6::bigint - 2592000000000 + 2592000000000 / $3::bigint * n AS began,
        CASE -- from 0.1 seconds to ten hours
            WHEN n % 100 IN (7, 8) THEN 50000
            ELSE (100000 * exp(12.8 * pg_temp.draw(n, $4, 7)))::bigint
        END AS took
    FROM generate_series($1, $1 + $2::bigint - 1) AS n
),

-- The verb that decides about the status, by its place in the order of verbs.
decided AS MATERIALIZED (
    SELECT
        d.*,
        CASE
            WHEN d.n % 100 IN (7, 8) THEN 8 -- continued as the next, both of one chain
            WHEN d.n % 100 <> 9 AND d.of_status < 0.0005 THEN 1 -- scheduled
            WHEN d.n % 100 <> 9 AND d.of_status < 0.0080 OR d.began + d.took > $6 THEN 3 -- started
            WHEN d.n % 100 = 9 THEN 7 -- completed, the end of a chain
            WHEN d.n % 5000 = 1013 THEN 12 -- terminated
            WHEN d.of_status < 0.0085 THEN 4 -- paused
            WHEN d.of_status < 0.0100 THEN 6 -- retrying
            WHEN d.of_status < 0.0500 THEN 11 -- failed
            WHEN d.of_status < 0.0600 THEN 9 -- timed out
            WHEN d.of_status < 0.0720 THEN 10 -- cancelled
            WHEN d.of_status < 0.0760 THEN 12 -- terminated
            ELSE 7
        END AS verb
    FROM drawn AS d
),

-- When the verb that decides came (said), when the first of all did, and what else is known.
lived AS MATERIALIZED (
    SELECT
        d.*,
        d.verb >= 7 AS ended,
        d.verb = 3 AND d.of_rest < 0.5 AS beats,
        d.n % 5000 = 2009 AND d.verb = 7 AS contested,
        d.n % 1000 = 17 AND d.verb >= 7 AND d.began + d.took + 60000000 < $6 AS hidden,
        d.n % 5000 = 1013 AND d.verb = 12 AS only_end,
        CASE WHEN d.n % 5000 = 1013 AND d.verb = 12 THEN d.began + d.took ELSE d.began END AS first,
        CASE WHEN d.verb IN (1, 3) THEN d.began ELSE d.began + d.took END AS said,
        greatest(d.began + 1000, $6 - (600000000 * d.of_rest)::bigint) AS beat,
        CASE WHEN d.of_user < 0.95 THEN 'user-' || floor(50000 * power(d.of_user / 0.95, 3))::integer END AS who
    FROM decided AS d
),

told AS MATERIALIZED (
    SELECT
        l.*,
        '\x0200'::bytea || pg_temp.earlier(l.first) || l.digest AS fact,
        -- attempt, terminal, authority, kind, T, verb
        l.attempt || CASE WHEN l.ended THEN '\x010200'::bytea ELSE '\x000200'::bytea END
        || CASE WHEN l.ended THEN pg_temp.earlier(l.said) ELSE pg_temp.later(l.said) END
        || set_byte('\x00', 0, l.verb) AS verdict,
        CASE WHEN l.n % 20 IN (3, 4) THEN
            jsonb_build_object(
                'namespace', 'default',
                'temporal_workflow_id', pg_temp.temporal_workflow(l.n - l.n % 20),
                'temporal_run_id', pg_temp.run(l.n - l.n % 20, $4),
                'id', encode(substr($5, (16 * (l.n - l.n % 20 - $1))::integer + 1, 16), 'hex')::uuid
            )
        END AS parent,
        CASE
            WHEN l.verb NOT IN (6, 9, 11) THEN NULL
            WHEN l.n % 100003 = 5 THEN '{"message": "the vault is empty", "type": "Vault"}'::jsonb
            ELSE jsonb_build_object(
                'message', 'step ' || floor(30 * l.of_rest * l.of_rest) || ' of order ' || l.n || ' was refused',
                'type', 'Refused' || floor(12 * l.of_rest * l.of_rest),
                'retryable', l.n % 2 = 0
            )
        END AS error,
        CASE WHEN l.n % 5 <> 0 THEN
            jsonb_build_object('team', 'team-' || l.n % 23, 'order', 'order-' || l.n)
            || CASE WHEN l.n % 100003 = 7 THEN '{"canary": "yes"}'::jsonb ELSE '{"region": "eu"}' END
        END AS labels,
        CASE WHEN l.n % 10 <> 6 THEN
            jsonb_build_object('order', l.n, 'note', convert_from(substr($7::bytea, (l.n % 200000)::integer + 1, 90), 'UTF8'))
        END AS input,
        CASE
            WHEN l.verb <> 7 THEN NULL
            WHEN l.of_size < 0.0054 THEN
                jsonb_build_object(
                    'report',
                    convert_from(substr($7, (l.n % 200000)::integer + 1, 20480 + (40000 * l.of_rest)::integer), 'UTF8')
                )
            ELSE jsonb_build_object('delivered', true, 'note', convert_from(substr($7, (l.n % 199999)::integer + 1, 120), 'UTF8'))
        END AS output,
        CASE WHEN l.verb = 7 AND l.n % 10 <> 5 THEN l.took / 1000 END AS reported
    FROM lived AS l
)

SELECT
    encode(t.id, 'hex')::uuid,
    'default',
    pg_temp.temporal_workflow(t.n),
    pg_temp.run(t.n, $4),
    -- attempt, rank, authority of a verdict, kind, T, verb
    overlay(
        t.verdict
        PLACING CASE WHEN t.ended THEN '\x0402'::bytea WHEN t.verb = 1 THEN '\x0100' ELSE '\x0300' END FROM 5 FOR 2
    ) || t.digest,
    (ARRAY[
        'pending', NULL, 'running', 'paused', NULL, 'retrying', 'completed', 'continued_as_new', 'timed_out',
        'cancelled', 'failed', 'terminated'
    ])[t.verb],
    CASE WHEN t.n % 50 = 11 THEN 2 ELSE 1 END,
    CASE WHEN t.ended THEN pg_temp.at(t.said) END,
    CASE WHEN t.verb IN (10, 12) THEN 'asked for' END,
    CASE WHEN t.input IS NULL THEN '' ELSE t.attempt || t.fact END,
    t.input,
    CASE WHEN t.hidden THEN pg_temp.later(t.said + 60000000) || '\x00' ELSE '' END,
    CASE WHEN t.hidden THEN pg_temp.at(t.said + 60000000) END,
    t.fact,
    'workflow-' || t.workflow,
    CASE WHEN t.who IS NULL THEN '' ELSE t.fact END,
    t.who,
    t.fact,
    'Workflow ' || t.workflow,
    t.fact,
    CASE WHEN t.n % 10 = 1 THEN 'airflow' ELSE 'temporal' END,
    CASE WHEN t.verb = 1 THEN t.fact ELSE '' END,
    CASE WHEN t.verb = 1 THEN pg_temp.at(t.began + t.took) END,
    CASE WHEN t.verb = 8 THEN '\x0200'::bytea || pg_temp.earlier(t.said) || t.digest ELSE '' END,
    CASE WHEN t.verb = 8 THEN pg_temp.run(t.n + 1, $4) END,
    CASE WHEN t.parent IS NULL THEN '' ELSE t.fact END,
    t.parent,
    CASE WHEN t.parent IS NULL THEN '' ELSE t.fact END,
    t.parent,
    CASE WHEN t.labels IS NULL THEN '' ELSE '\x02'::bytea || pg_temp.later(t.first) || t.digest END,
    t.labels,
    CASE WHEN t.output IS NULL THEN '' ELSE t.verdict || t.digest END,
    t.output,
    CASE WHEN t.error IS NULL THEN '' ELSE t.verdict || t.digest END,
    t.error,
    CASE WHEN t.only_end OR t.verb = 1 THEN '' ELSE t.attempt || '\x02' || pg_temp.earlier(t.began) END,
    CASE WHEN t.only_end OR t.verb = 1 THEN NULL ELSE pg_temp.at(t.began) END,
    CASE WHEN t.reported IS NULL THEN '' ELSE t.verdict || int8send(t.reported) END,
    t.reported,
    CASE WHEN t.beats THEN t.attempt || pg_temp.later(t.beat) || t.digest ELSE '' END,
    CASE WHEN t.beats THEN jsonb_build_object('done', t.n % 10, 'total', 10) END,
    CASE WHEN t.verb = 7 THEN t.attempt || int8send(t.n % 40) ELSE '' END,
    CASE WHEN t.verb = 7 THEN t.n % 40 END,
    CASE WHEN t.verb = 10 THEN t.attempt || pg_temp.earlier(t.began + t.took / 2) ELSE '' END,
    CASE WHEN t.verb = 10 THEN pg_temp.at(t.began + t.took / 2) END,
    CASE
        WHEN t.ended THEN t.attempt || '\x040200'::bytea || set_byte('\x00', 0, CASE WHEN t.contested THEN 12 ELSE t.verb END)
        ELSE ''
    END,
    CASE WHEN t.ended THEN t.attempt || '\x040200'::bytea || set_byte('\x00', 0, 255 - t.verb) ELSE '' END,
    pg_temp.at(t.first),
    pg_temp.at(u.updated),
    pg_temp.at(u.updated + 20000)
FROM told AS t
CROSS JOIN LATERAL (
    SELECT
        CASE
            WHEN t.hidden THEN t.said + 60000000
            WHEN t.contested THEN t.said + 1000000
            WHEN t.beats THEN t.beat
            ELSE t.said
        END AS updated
) AS u
