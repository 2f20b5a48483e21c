-- Takes away what was folded of executions that are not rebuilt.
DELETE FROM shadow_schema.workflow_executions AS s
WHERE NOT EXISTS (SELECT FROM shadow_schema.within AS w WHERE w.id = s.id)
