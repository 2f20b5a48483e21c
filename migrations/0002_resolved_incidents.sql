-- How an incident ended: what the operator decided, and what the position moved over.

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE incidents
    ADD COLUMN resolution text,
    ADD COLUMN resolution_reason text,
    ADD COLUMN accepted_from bigint,
    ADD COLUMN accepted_to bigint;

-- Not validated: an incident that somebody closed by hand before there were commands keeps what it says.
ALTER TABLE incidents
    ADD CONSTRAINT resolution_is_known CHECK (resolution IN ('resumed', 'accepted', 'noted')) NOT VALID,
    ADD CONSTRAINT incident_is_resolved_whole CHECK (
        (resolved_at IS NOT NULL) = (resolution IS NOT NULL) AND (resolved_at IS NOT NULL) = (resolved_by IS NOT NULL)
    ) NOT VALID,
    ADD CONSTRAINT accepted_range_is_of_accepted CHECK (
        (resolution IS NOT DISTINCT FROM 'accepted') = (accepted_from IS NOT NULL)
        AND (accepted_from IS NULL) = (accepted_to IS NULL)
    ) NOT VALID;

COMMENT ON COLUMN incidents.resolution IS 'resumed: read on at the same offset; accepted: the position was moved; noted: nothing was halted';
COMMENT ON COLUMN incidents.accepted_from IS 'the position before it was moved; records from here to accepted_to were given up';
COMMENT ON COLUMN incidents.accepted_to IS 'the position after it was moved; below accepted_from where the log is read again';
