SELECT to_regclass(quote_ident($1) || '.' || quote_ident($2)) IS NOT NULL
