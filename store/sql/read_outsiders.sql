-- What lies outside of the shadow and depends on something in it: dropping the shadow would drop it too.
WITH place AS (
    SELECT
        'pg_class'::regclass AS classid,
        oid,
        relnamespace AS namespace
    FROM pg_class
    UNION ALL
    SELECT
        'pg_proc'::regclass,
        oid,
        pronamespace
    FROM pg_proc
    UNION ALL
    SELECT
        'pg_type'::regclass,
        oid,
        typnamespace
    FROM pg_type
    UNION ALL
    SELECT
        'pg_constraint'::regclass,
        oid,
        connamespace
    FROM pg_constraint
    UNION ALL
    SELECT
        'pg_attrdef'::regclass,
        d.oid,
        c.relnamespace
    FROM pg_attrdef AS d
    INNER JOIN pg_class AS c ON d.adrelid = c.oid
    UNION ALL
    SELECT
        'pg_rewrite'::regclass,
        r.oid,
        c.relnamespace
    FROM pg_rewrite AS r
    INNER JOIN pg_class AS c ON r.ev_class = c.oid
    UNION ALL
    SELECT
        'pg_trigger'::regclass,
        t.oid,
        c.relnamespace
    FROM pg_trigger AS t
    INNER JOIN pg_class AS c ON t.tgrelid = c.oid
    UNION ALL
    SELECT
        'pg_policy'::regclass,
        p.oid,
        c.relnamespace
    FROM pg_policy AS p
    INNER JOIN pg_class AS c ON p.polrelid = c.oid
)

SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) AS name
FROM pg_depend AS d
INNER JOIN place AS outside ON d.classid = outside.classid AND d.objid = outside.oid
INNER JOIN place AS inside ON d.refclassid = inside.classid AND d.refobjid = inside.oid
WHERE
    d.deptype <> 'i'
    AND inside.namespace = to_regnamespace('shadow_schema')
    AND outside.namespace <> inside.namespace
ORDER BY 1
