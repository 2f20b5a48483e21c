-- Puts the tables that events feed, their view and what they are derived by into each other's schema. What belongs to
-- the service itself (positions, dead letters, incidents) stays, and so does the type that consumers send.
DO $$
DECLARE
    name text;
    kind text;
BEGIN
    CREATE SCHEMA wex_exchange;
    FOREACH name IN ARRAY ARRAY['workflow_executions', 'workflows', 'users', 'execution_rows']
    LOOP
        kind := CASE name WHEN 'execution_rows' THEN 'VIEW' ELSE 'TABLE' END;
        EXECUTE format('ALTER %s live_schema.%I SET SCHEMA wex_exchange', kind, name);
        EXECUTE format('ALTER %s shadow_schema.%I SET SCHEMA live_schema', kind, name);
        EXECUTE format('ALTER %s wex_exchange.%I SET SCHEMA shadow_schema', kind, name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['same_attempt(bytea, integer)', 'same_verdict(bytea, bytea)']
    LOOP
        EXECUTE format('ALTER FUNCTION live_schema.%s SET SCHEMA wex_exchange', name);
        EXECUTE format('ALTER FUNCTION shadow_schema.%s SET SCHEMA live_schema', name);
        EXECUTE format('ALTER FUNCTION wex_exchange.%s SET SCHEMA shadow_schema', name);
    END LOOP;
    DROP SCHEMA wex_exchange;
END
$$
