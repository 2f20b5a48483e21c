-- Takes away the indexes and the foreign keys of the shadow's empty tables, and keeps their definitions: they are made
-- once, after the bulk of the rows. Primary keys stay, for rows are merged by them. Nor is anything counted until then.
DO $$
DECLARE
    found record;
BEGIN
    CREATE TABLE shadow_schema.deferred (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        definition text NOT NULL
    );
    FOR found IN
        SELECT c.conrelid::regclass AS relation, c.conname AS name, pg_get_constraintdef(c.oid) AS definition
        FROM pg_constraint AS c
        WHERE c.contype = 'f' AND c.connamespace = 'shadow_schema'::regnamespace
        ORDER BY c.conname
    LOOP
        INSERT INTO shadow_schema.deferred (definition)
        VALUES (format('ALTER TABLE %s ADD CONSTRAINT %I %s', found.relation, found.name, found.definition));
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.relation, found.name);
    END LOOP;
    FOR found IN
        SELECT i.indexrelid::regclass AS name, pg_get_indexdef(i.indexrelid) AS definition
        FROM pg_index AS i
        INNER JOIN pg_class AS t ON i.indrelid = t.oid
        WHERE
            t.relnamespace = 'shadow_schema'::regnamespace
            AND t.relname = 'workflow_executions'
            AND NOT i.indisprimary
        ORDER BY i.indexrelid
    LOOP
        INSERT INTO shadow_schema.deferred (definition) VALUES (found.definition);
        EXECUTE format('DROP INDEX %s', found.name);
    END LOOP;
    ALTER TABLE shadow_schema.workflow_executions DISABLE TRIGGER USER;
END
$$
