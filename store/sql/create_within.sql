-- The executions that are rebuilt, of a replay that has a scope; known when the others are carried over.
CREATE TABLE shadow_schema.within (id uuid PRIMARY KEY)
