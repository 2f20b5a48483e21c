SELECT count(*) FROM shadow_schema.dead_letters
