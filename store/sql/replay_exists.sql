SELECT to_regclass(quote_ident($1) || '.replay') IS NOT NULL
