-- What others have hung on the tables, and what would hang on the old ones after a swap.
SELECT 'view ' || v.oid::regclass::text AS name
FROM pg_depend AS d
INNER JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
INNER JOIN pg_class AS v ON r.ev_class = v.oid
INNER JOIN pg_class AS t ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
WHERE
    t.relnamespace = 'live_schema'::regnamespace
    AND t.relname IN ('workflow_executions', 'workflows', 'users', 'execution_rows')
    AND NOT (
        v.relnamespace = 'live_schema'::regnamespace AND v.relname IN ('execution_rows', 'statistics_missing')
    )
UNION
SELECT 'trigger ' || g.tgname
FROM pg_trigger AS g
INNER JOIN pg_class AS t ON g.tgrelid = t.oid
INNER JOIN pg_proc AS p ON g.tgfoid = p.oid
WHERE
    NOT g.tgisinternal
    AND NOT (p.pronamespace = t.relnamespace AND p.proname = 'count_changes')
    AND t.relnamespace = 'live_schema'::regnamespace
    AND t.relname IN ('workflow_executions', 'workflows', 'users', 'execution_rows')
UNION
SELECT 'foreign key ' || c.conname
FROM pg_constraint AS c
INNER JOIN pg_class AS t ON c.confrelid = t.oid
INNER JOIN pg_class AS f ON c.conrelid = f.oid
WHERE
    c.contype = 'f'
    AND t.relnamespace = 'live_schema'::regnamespace
    AND t.relname IN ('workflow_executions', 'workflows', 'users')
    AND NOT (f.relnamespace = t.relnamespace AND f.relname = 'workflow_executions')
UNION
SELECT 'policy ' || p.polname
FROM pg_policy AS p
INNER JOIN pg_class AS t ON p.polrelid = t.oid
WHERE
    t.relnamespace = 'live_schema'::regnamespace AND t.relname IN ('workflow_executions', 'workflows', 'users')
UNION
SELECT 'publication ' || b.pubname
FROM pg_publication_rel AS m
INNER JOIN pg_publication AS b ON m.prpubid = b.oid
INNER JOIN pg_class AS t ON m.prrelid = t.oid
WHERE
    t.relnamespace = 'live_schema'::regnamespace AND t.relname IN ('workflow_executions', 'workflows', 'users')
UNION
SELECT 'index ' || i.indexrelid::regclass::text
FROM pg_index AS i
INNER JOIN pg_class AS x ON i.indexrelid = x.oid
INNER JOIN pg_class AS t ON i.indrelid = t.oid
WHERE
    t.relnamespace = 'live_schema'::regnamespace
    AND t.relname IN ('workflow_executions', 'workflows', 'users')
    AND NOT EXISTS (
        SELECT FROM pg_class AS s
        WHERE s.relnamespace = 'shadow_schema'::regnamespace AND s.relname = x.relname AND s.relkind = 'i'
    )
ORDER BY 1
