-- The executions with an event in the topics of a replay's scope: those that were folded from them before all others.
CREATE TABLE shadow_schema.in_topics AS
SELECT id FROM shadow_schema.workflow_executions
