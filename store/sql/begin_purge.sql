-- Keeps a policy before the first row is deleted by it.
INSERT INTO purges (namespace, workflows, statuses, ended_before, deleted_before, begun_by, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING id
