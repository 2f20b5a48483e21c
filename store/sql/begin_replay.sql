INSERT INTO shadow_schema.replay (step, fold_version, table_in, scope) VALUES ($1, $2, $3, $4)
