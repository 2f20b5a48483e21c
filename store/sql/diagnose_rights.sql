-- The rights that are missing, of those that are asked for; a table that is not there has none.
SELECT
    r.relation,
    r.privilege
FROM unnest($1::text [], $2::text []) AS r (relation, privilege)
WHERE NOT coalesce(has_table_privilege(to_regclass(r.relation), r.privilege), false)
ORDER BY r.relation, r.privilege
