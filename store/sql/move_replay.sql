UPDATE shadow_schema.replay SET step = $1, changed_at = now()
