SELECT count(*) FROM shadow_schema.carried WHERE relation = 'workflow_executions'
