SELECT step, fold_version, started_at, changed_at FROM shadow_schema.replay
