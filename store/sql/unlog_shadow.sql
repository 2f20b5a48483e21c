-- A scratch table need not survive a crash of the server.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['workflow_executions', 'workflows', 'users']
    LOOP
        EXECUTE format('ALTER TABLE shadow_schema.%I SET UNLOGGED', name);
    END LOOP;
END
$$
