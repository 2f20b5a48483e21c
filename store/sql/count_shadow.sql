-- Counts every execution of the shadow, once, and from then on what changes of them.
DO $$
BEGIN
    LOCK TABLE shadow_schema.workflow_executions IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = 'shadow_schema.workflow_executions'::regclass AND tgname = 'count_updated' AND tgenabled = 'D'
    ) THEN
        INSERT INTO shadow_schema.statistics_deltas (
            namespace, workflow_id, axis, status, start, bin, runs, chains, total_ms
        )
        SELECT namespace, workflow_id, axis, status, start, bin, runs, chains, total_ms
        FROM shadow_schema.statistics_missing;
        ALTER TABLE shadow_schema.workflow_executions ENABLE TRIGGER USER;
    END IF;
END
$$
