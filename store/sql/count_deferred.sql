SELECT count(*) FROM shadow_schema.deferred
