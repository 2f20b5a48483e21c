DELETE FROM live_schema.workflow_executions WHERE id = any($1::uuid[])
