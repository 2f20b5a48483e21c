SELECT
    (SELECT count(*) FROM live_schema.workflow_executions) AS table_rows,
    (SELECT count(*) FROM shadow_schema.workflow_executions) AS shadow_rows
