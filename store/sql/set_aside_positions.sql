-- Keeps the positions of the old table, so that a rollback can go on where it stood.
CREATE TABLE shadow_schema.set_aside AS
SELECT * FROM live_schema.positions
