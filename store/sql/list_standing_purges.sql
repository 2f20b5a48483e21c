-- The purges that a shadow is held to.
SELECT p.namespace, p.workflows, p.statuses, p.ended_before, p.deleted_before
FROM live_schema.purges AS p
INNER JOIN live_schema.standing_purges AS s ON p.id = s.id
ORDER BY p.id
