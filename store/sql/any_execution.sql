SELECT EXISTS (SELECT FROM workflow_executions WHERE namespace = $1) AS found
