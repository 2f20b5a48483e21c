INSERT INTO shadow_schema.replay (step, fold_version, table_in) VALUES ($1, $2, $3)
