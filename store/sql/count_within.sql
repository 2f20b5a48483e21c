SELECT count(*) FROM shadow_schema.within
