SELECT key[1] AS id FROM shadow_schema.carried WHERE relation = 'workflow_executions' ORDER BY key LIMIT $1
