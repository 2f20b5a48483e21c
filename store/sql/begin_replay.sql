INSERT INTO shadow_schema.replay (step, fold_version) VALUES ($1, $2)
