-- Puts the tables that events feed, their view, their statistics and what they are derived by into each other's schema. What belongs to
-- the service itself (positions, dead letters, incidents) stays, and so does the type that consumers send.
DO $$
DECLARE
    name text;
    kind text;
    live text := 'live_schema';
    shadow text := 'shadow_schema';
BEGIN
    CREATE SCHEMA wex_exchange;
    FOREACH name IN ARRAY ARRAY[
        'workflow_executions', 'workflows', 'users', 'execution_rows', 'execution_statistics', 'statistics_deltas',
        'statistics_mark', 'statistics_missing'
    ]
    LOOP
        kind := CASE WHEN name IN ('execution_rows', 'statistics_missing') THEN 'VIEW' ELSE 'TABLE' END;
        EXECUTE format('ALTER %s %s.%I SET SCHEMA wex_exchange', kind, live, name);
        EXECUTE format('ALTER %s %s.%I SET SCHEMA %s', kind, shadow, name, live);
        EXECUTE format('ALTER %s wex_exchange.%I SET SCHEMA %s', kind, name, shadow);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['same_attempt(bytea, integer)', 'same_verdict(bytea, bytea)', 'count_changes()',
        'statistics_of(text, timestamptz, timestamptz, bigint, timestamptz, timestamptz, text, timestamptz)'
    ]
    LOOP
        EXECUTE format('ALTER FUNCTION %s.%s SET SCHEMA wex_exchange', live, name);
        EXECUTE format('ALTER FUNCTION %s.%s SET SCHEMA %s', shadow, name, live);
        EXECUTE format('ALTER FUNCTION wex_exchange.%s SET SCHEMA %s', name, shadow);
    END LOOP;
    DROP SCHEMA wex_exchange;
END
$$
