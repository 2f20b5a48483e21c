SELECT count(*) FROM live_schema.workflow_executions
