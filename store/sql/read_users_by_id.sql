SELECT * FROM live_schema.users WHERE id = any($1::text[])
