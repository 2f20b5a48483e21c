-- Makes one index or foreign key that was put off; called until none is left.
DO $$
DECLARE
    next record;
BEGIN
    SELECT id, definition INTO next FROM shadow_schema.deferred ORDER BY id DESC LIMIT 1;
    IF next.id IS NOT NULL THEN
        EXECUTE next.definition;
        DELETE FROM shadow_schema.deferred WHERE id = next.id;
    END IF;
END
$$
