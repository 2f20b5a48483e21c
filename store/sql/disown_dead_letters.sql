-- The fold of the old table did not refuse these.
WITH adopted AS (
    DELETE FROM shadow_schema.adopted
    RETURNING id
)

DELETE FROM live_schema.dead_letters AS d
USING adopted AS a
WHERE d.id = a.id
