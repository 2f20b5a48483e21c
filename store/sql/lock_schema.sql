-- Waits for a migration that is under way, and lets none be recorded until the end of the transaction.
LOCK TABLE live_schema.schema_migrations IN SHARE MODE
