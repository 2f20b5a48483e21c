-- Those of some executions that are in a replay's scope.
SELECT id FROM shadow_schema.within WHERE id = any($1::uuid[])
