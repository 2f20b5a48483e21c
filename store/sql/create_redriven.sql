-- The letters that were redriven before the log was folded: the shadow has what they hold.
CREATE TABLE shadow_schema.redriven AS
SELECT id
FROM live_schema.dead_letters
WHERE redrive_outcome = 'applied'
