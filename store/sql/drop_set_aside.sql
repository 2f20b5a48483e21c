DROP TABLE shadow_schema.set_aside, shadow_schema.reopened
