-- What became of a dead letter: the last try to redrive it, and who dropped its bytes, when and why.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- A letter without its bytes keeps their digest, so that the same record is still kept once. Consumers of the version
-- before write none, which costs only that.
-- squawk-ignore ban-drop-generated-expression
ALTER TABLE dead_letters ALTER COLUMN value_digest DROP EXPRESSION;

ALTER TABLE dead_letters
    ADD COLUMN redrives bigint NOT NULL DEFAULT 0,
    ADD COLUMN redrive_outcome text,
    ADD COLUMN redrive_at timestamptz,
    ADD COLUMN redrive_by text,
    ADD COLUMN purged_at timestamptz,
    ADD COLUMN purged_by text,
    ADD COLUMN purge_reason text;

-- Not validated: no letter has any of these yet.
ALTER TABLE dead_letters
    ADD CONSTRAINT redrive_is_told_whole CHECK (
        (redrives > 0) = (redrive_outcome IS NOT NULL)
        AND (redrives > 0) = (redrive_at IS NOT NULL)
        AND (redrives > 0) = (redrive_by IS NOT NULL)
    ) NOT VALID,
    ADD CONSTRAINT purge_is_told_whole CHECK ((purged_at IS NULL) = (purged_by IS NULL)) NOT VALID,
    ADD CONSTRAINT purged_letter_has_no_bytes CHECK (
        purged_at IS NULL OR (key IS NULL AND value IS NULL AND header_values = '{}')
    ) NOT VALID;

COMMENT ON COLUMN dead_letters.redrives IS 'how often somebody tried to redrive it';
COMMENT ON COLUMN dead_letters.redrive_outcome IS 'of the last try: applied or skipped (it is redriven), or the reason why it is still a dead letter';
COMMENT ON COLUMN dead_letters.purged_at IS 'when its bytes were dropped; its coordinates and its reason stay';
