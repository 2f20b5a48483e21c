-- Counts every execution of the shadow, once, and from then on what changes of them.
DO $$
BEGIN
    LOCK TABLE shadow_schema.workflow_executions IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = 'shadow_schema.workflow_executions'::regclass AND tgname = 'count_updated' AND tgenabled = 'D'
    ) THEN
        PERFORM shadow_schema.count_all_executions();
        ALTER TABLE shadow_schema.workflow_executions ENABLE TRIGGER USER;
    END IF;
END
$$
