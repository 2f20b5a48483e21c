SELECT step, fold_version, table_in, started_at, changed_at FROM shadow_schema.replay
