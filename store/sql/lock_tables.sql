-- Waits for readers, and for whoever hangs something on the tables, and lets nobody in until the end of the transaction.
LOCK TABLE
    live_schema.workflow_executions, live_schema.workflows, live_schema.users, live_schema.execution_rows,
    live_schema.execution_statistics, live_schema.statistics_deltas, live_schema.statistics_mark
IN ACCESS EXCLUSIVE MODE
