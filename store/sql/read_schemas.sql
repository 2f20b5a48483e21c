-- By which migrations the tables of both schemas are what they are.
SELECT
    coalesce(t.version, s.version) AS version,
    t.checksum AS in_table,
    s.checksum AS in_shadow
FROM live_schema.schema_migrations AS t
FULL JOIN shadow_schema.schema_migrations AS s ON t.version = s.version
ORDER BY 1
