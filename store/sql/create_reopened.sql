-- A swap of an earlier version reopened nothing.
CREATE TABLE IF NOT EXISTS shadow_schema.reopened (LIKE live_schema.dead_letters)
