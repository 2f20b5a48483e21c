-- What is kept of a replay; one that an earlier version has begun has no scope.
SELECT r.step, r.fold_version, r.table_in, r.started_at, r.changed_at, to_jsonb(r) ->> 'scope' AS scope
FROM shadow_schema.replay AS r
