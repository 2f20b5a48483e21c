-- How many letters were redriven since the shadow was begun: it, or the old table after a swap, may lack what they hold.
SELECT count(*)
FROM live_schema.dead_letters AS d
WHERE
    d.redrive_outcome = 'applied'
    AND NOT EXISTS (SELECT FROM shadow_schema.redriven AS r WHERE r.id = d.id)
