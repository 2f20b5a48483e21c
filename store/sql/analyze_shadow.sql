ANALYZE shadow_schema.workflow_executions, shadow_schema.workflows, shadow_schema.users
