-- Where COPY puts a batch, until the end of its transaction.
CREATE TEMPORARY TABLE incoming (
    id text,
    namespace text,
    workflow_id text,
    workflow_name text,
    temporal_workflow_id text,
    temporal_run_id text,
    orchestrator text,
    status text,
    attempt text,
    started_at text,
    completed_at text,
    duration_ms text,
    input text,
    output text,
    error text,
    error_message text,
    activities_executed text,
    progress text,
    created_by text,
    created_at text,
    updated_at text
) ON COMMIT DELETE ROWS
