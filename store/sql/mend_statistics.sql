-- Counts what is missing in the statistics. Executions and statistics are looked at in one moment, and what changes
-- beside it is counted by itself: consumers need not wait.
INSERT INTO live_schema.statistics_deltas (
    namespace, workflow_id, axis, status, start, bin, runs, chains, total_ms
)
SELECT namespace, workflow_id, axis, status, start, bin, runs, chains, total_ms FROM live_schema.statistics_missing
