-- The indexes behind lists and searches (docs/decisions/0014-few-orders-and-partial-indexes.md).

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '0'; -- an index of ten million rows takes a while

-- On a large table make them beforehand with CREATE INDEX CONCURRENTLY, under these names and with these definitions:
-- then nothing is left to do here, and consumers never wait.
CREATE INDEX IF NOT EXISTS workflow_executions_by_end
    ON workflow_executions (namespace, completed_at DESC, id DESC)
    WHERE completed_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS workflow_executions_open
    ON workflow_executions (namespace, started_at DESC, id DESC)
    WHERE completed_at IS NULL;

-- Completed is what most executions are: the orders without a status serve it, and it is in no index by status.
CREATE INDEX IF NOT EXISTS workflow_executions_by_status
    ON workflow_executions (namespace, status, started_at DESC, id DESC)
    WHERE status IN ('failed', 'cancelled', 'terminated', 'timed_out', 'continued_as_new');

CREATE INDEX IF NOT EXISTS workflow_executions_by_workflow_and_status
    ON workflow_executions (namespace, workflow_id, status, started_at DESC, id DESC)
    WHERE status <> 'completed';

CREATE INDEX IF NOT EXISTS workflow_executions_by_user_and_other_status
    ON workflow_executions (namespace, created_by, status, started_at DESC, id DESC)
    WHERE status <> 'completed';

DROP INDEX IF EXISTS workflow_executions_by_user_and_status;

CREATE INDEX IF NOT EXISTS workflow_executions_contested
    ON workflow_executions (namespace, started_at DESC, id DESC)
    WHERE contested;

CREATE INDEX IF NOT EXISTS workflow_executions_incomplete
    ON workflow_executions (namespace, started_at DESC, id DESC)
    WHERE completed_at IS NOT NULL AND NOT start_reported;

CREATE INDEX IF NOT EXISTS workflow_executions_with_error
    ON workflow_executions (namespace, completed_at DESC, id DESC)
    WHERE error_message IS NOT NULL;

CREATE INDEX IF NOT EXISTS workflow_executions_by_parent
    ON workflow_executions (namespace, (parent ->> 'id'), started_at, id)
    WHERE parent IS NOT NULL;

CREATE INDEX IF NOT EXISTS workflow_executions_by_next_run
    ON workflow_executions (namespace, temporal_workflow_id, next_run_id)
    WHERE next_run_id IS NOT NULL;
