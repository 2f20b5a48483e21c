-- Gives the shadow's tables the owners and the grants of those whose place they take: readers keep their rights.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT t.relname, pg_get_userbyid(t.relowner) AS owner
        FROM pg_class AS t
        INNER JOIN pg_class AS s ON t.relname = s.relname AND t.relowner <> s.relowner
        WHERE
            t.relnamespace = 'live_schema'::regnamespace
            AND s.relnamespace = 'shadow_schema'::regnamespace
            AND t.relname IN (
                'workflow_executions', 'workflows', 'users', 'execution_rows', 'execution_statistics',
                'statistics_deltas', 'statistics_mark', 'statistics_missing'
            )
    LOOP
        EXECUTE format('ALTER TABLE %s.%I OWNER TO %I', 'shadow_schema', found.relname, found.owner);
    END LOOP;
    FOR found IN
        SELECT
            t.relname,
            a.privilege_type,
            a.is_grantable,
            CASE WHEN a.column_name <> '' THEN format(' (%I)', a.column_name) ELSE '' END AS of_column,
            CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
        FROM pg_class AS t
        CROSS JOIN LATERAL (
            SELECT x.grantee, x.privilege_type, x.is_grantable, '' AS column_name
            FROM aclexplode(t.relacl) AS x
            UNION ALL
            SELECT x.grantee, x.privilege_type, x.is_grantable, c.attname
            FROM pg_attribute AS c
            CROSS JOIN LATERAL aclexplode(c.attacl) AS x
            WHERE c.attrelid = t.oid
        ) AS a
        WHERE
            t.relnamespace = 'live_schema'::regnamespace
            AND t.relname IN (
                'workflow_executions', 'workflows', 'users', 'execution_rows', 'execution_statistics',
                'statistics_deltas', 'statistics_mark', 'statistics_missing'
            )
            AND a.grantee <> t.relowner
    LOOP
        EXECUTE format(
            'GRANT %s%s ON %s.%I TO %s%s',
            found.privilege_type, found.of_column, 'shadow_schema', found.relname, found.grantee,
            CASE WHEN found.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
        );
    END LOOP;
END
$$
