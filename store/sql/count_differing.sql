SELECT relation, kind, lacks, status_in_table, status_in_log, count(*) AS rows
FROM shadow_schema.differing
GROUP BY relation, kind, lacks, status_in_table, status_in_log
ORDER BY relation, kind, lacks, status_in_table, status_in_log
