DROP TABLE shadow_schema.set_aside
