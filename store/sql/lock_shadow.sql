-- Waits for whoever hangs something on the shadow's tables, and lets nobody do so until the end of the transaction.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT oid::regclass::text
        FROM pg_class
        WHERE relnamespace = to_regnamespace('shadow_schema') AND relkind IN ('r', 'p', 'v')
        ORDER BY oid
    LOOP
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', name);
    END LOOP;
END
$$
