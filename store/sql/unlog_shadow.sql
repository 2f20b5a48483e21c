-- A scratch table need not survive a crash of the server.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['workflow_executions', 'workflows', 'users']
    LOOP
        EXECUTE format('ALTER TABLE %s.%I SET UNLOGGED', 'shadow_schema', name);
    END LOOP;
END
$$
