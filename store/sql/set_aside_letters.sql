-- Keeps the letters that were redriven and that the fold of the shadow refuses, so that a rollback can put them back.
CREATE TABLE shadow_schema.reopened AS
SELECT d.*
FROM live_schema.dead_letters AS d
INNER JOIN shadow_schema.dead_letters AS s
    ON
        d.topic = s.topic
        AND d.partition = s.partition
        AND d."offset" = s."offset"
        AND d.value_digest = s.value_digest
WHERE d.redrive_outcome = 'applied'
