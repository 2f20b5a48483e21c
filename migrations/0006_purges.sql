-- What was purged: the policies by which executions were deleted, so that a fold of the log does not bring them back
-- (docs/decisions/0016-a-purge-is-a-policy-that-is-kept.md).

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '0'; -- an index of ten million rows is looked for in all of them

CREATE TABLE purges (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace text COLLATE "C" NOT NULL,
    workflows text [] COLLATE "C" NOT NULL DEFAULT '{}',
    statuses text [] COLLATE "C" NOT NULL DEFAULT '{}',
    ended_before timestamptz,
    deleted_before timestamptz,
    begun_at timestamptz NOT NULL DEFAULT now(),
    begun_by text NOT NULL,
    reason text,
    executions bigint NOT NULL DEFAULT 0,
    worked_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    revoked_at timestamptz,
    revoked_by text,
    CONSTRAINT purge_is_of_the_past CHECK (greatest(ended_before, deleted_before) <= begun_at),
    CONSTRAINT purge_has_a_bound CHECK (ended_before IS NOT NULL OR deleted_before IS NOT NULL),
    CONSTRAINT purge_is_of_what_has_ended CHECK (
        statuses <@ ARRAY['completed', 'failed', 'cancelled', 'terminated', 'timed_out', 'continued_as_new']
    ),
    CONSTRAINT revocation_is_told_whole CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
COMMENT ON TABLE purges IS 'by which policies executions were deleted; an execution whose row one of them covers is not in the table';
COMMENT ON COLUMN purges.workflows IS 'of these workflows alone; none: of all';
COMMENT ON COLUMN purges.statuses IS 'with one of these statuses; none: with any that ends an execution';
COMMENT ON COLUMN purges.ended_before IS 'that ended before this time: never relative, so that the same rows are meant for ever';
COMMENT ON COLUMN purges.deleted_before IS 'that were hidden before this time';
COMMENT ON COLUMN purges.executions IS 'how many rows it has deleted';
COMMENT ON COLUMN purges.worked_at IS 'when it last deleted any';
COMMENT ON COLUMN purges.revoked_at IS 'from then on it covers nothing, and repair or replay may bring its rows back';

-- The purges that count: not revoked, and not covered by another one. A policy by age that is applied every day leaves
-- one here.
CREATE VIEW standing_purges AS
SELECT
    p.id,
    p.namespace,
    p.workflows,
    p.statuses,
    coalesce(p.ended_before, 'infinity') AS ended_before,
    coalesce(p.deleted_before, 'infinity') AS deleted_before,
    p.deleted_before IS NOT NULL AS of_deleted,
    p.finished_at IS NOT NULL AS finished
FROM purges AS p
WHERE
    p.revoked_at IS NULL
    AND NOT EXISTS (
        SELECT FROM purges AS q
        WHERE
            q.id <> p.id
            AND q.revoked_at IS NULL
            AND q.namespace = p.namespace
            AND (q.workflows = '{}' OR (p.workflows <> '{}' AND q.workflows @> p.workflows))
            AND (q.statuses = '{}' OR (p.statuses <> '{}' AND q.statuses @> p.statuses))
            AND coalesce(q.ended_before, 'infinity') >= coalesce(p.ended_before, 'infinity')
            AND coalesce(q.deleted_before, 'infinity') >= coalesce(p.deleted_before, 'infinity')
            AND (
                q.id > p.id
                OR (q.workflows, q.statuses, q.ended_before, q.deleted_before)
                IS DISTINCT FROM (p.workflows, p.statuses, p.ended_before, p.deleted_before)
            )
    );
COMMENT ON VIEW standing_purges IS 'the purges that cover rows: neither revoked nor covered by another one';

-- What was hidden long ago is found without a search through everything that has ended.
CREATE INDEX IF NOT EXISTS workflow_executions_deleted
    ON workflow_executions (namespace, deleted_at, id)
    WHERE deleted_at IS NOT NULL;

-- What was withheld of an execution is deleted with its row.
CREATE INDEX IF NOT EXISTS withheld_payloads_by_execution
    ON withheld_payloads (execution_id);
