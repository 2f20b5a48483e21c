INSERT INTO shadow_schema.carried (relation, key)
SELECT c.relation, c.key
FROM shadow_schema.differing AS c
WHERE c.lacks
ON CONFLICT DO NOTHING
