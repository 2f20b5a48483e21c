-- The table of executions, its neighbours, and what the consumer keeps about its own place in the log.

-- Orders are byte strings made by events.orders. These two functions are all that SQL knows about their inside.
CREATE FUNCTION same_attempt(register_order bytea, attempt_shown integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN substr(register_order, 1, 4) = int4send(attempt_shown);

CREATE FUNCTION same_verdict(register_order bytea, status_order bytea) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN substr(register_order, 1, 4) = substr(status_order, 1, 4)
        AND substr(register_order, 16, 1) = substr(status_order, 16, 1);

CREATE TABLE workflows (
    namespace text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    name text,
    name_order bytea NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    PRIMARY KEY (namespace, id)
);
COMMENT ON TABLE workflows IS 'every workflow that an event named; the latest name wins';
COMMENT ON COLUMN workflows.created_at IS 'time of the first event that named it';

CREATE TABLE users (
    id text COLLATE "C" PRIMARY KEY,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE users IS 'every user that an event named';

CREATE TABLE workflow_executions (
    id uuid PRIMARY KEY,
    namespace text COLLATE "C" NOT NULL,
    temporal_workflow_id text COLLATE "C" NOT NULL,
    temporal_run_id text COLLATE "C" NOT NULL,

    -- register status
    status_order bytea NOT NULL DEFAULT '',
    status text COLLATE "C" NOT NULL DEFAULT 'pending',
    attempt integer NOT NULL DEFAULT 1,
    completed_at timestamptz,
    reason text,
    actor text,

    -- registers whose value is shown as it is
    input_order bytea NOT NULL DEFAULT '',
    input jsonb,
    visibility_order bytea NOT NULL DEFAULT '',
    deleted_at timestamptz,
    workflow_id_order bytea NOT NULL DEFAULT '',
    workflow_id text COLLATE "C" NOT NULL,
    user_id_order bytea NOT NULL DEFAULT '',
    created_by text COLLATE "C",
    workflow_name_order bytea NOT NULL DEFAULT '',
    workflow_name text,
    orchestrator_order bytea NOT NULL DEFAULT '',
    orchestrator text NOT NULL DEFAULT 'temporal',
    scheduled_for_order bytea NOT NULL DEFAULT '',
    scheduled_for timestamptz,
    next_run_id_order bytea NOT NULL DEFAULT '',
    next_run_id text,
    parent_order bytea NOT NULL DEFAULT '',
    parent jsonb,
    root_order bytea NOT NULL DEFAULT '',
    root jsonb,
    labels_order bytea NOT NULL DEFAULT '',
    labels jsonb,

    -- registers whose value is shown only with the verdict it belongs to; hidden_* keeps it while another is shown.
    -- Shown and hidden are two columns, so that a large value stays where it is as long as it is shown.
    output_order bytea NOT NULL DEFAULT '',
    output jsonb,
    hidden_output jsonb,
    error_order bytea NOT NULL DEFAULT '',
    error jsonb,
    hidden_error jsonb,

    -- registers whose value is shown only with the attempt it belongs to
    started_order bytea NOT NULL DEFAULT '',
    register_started_at timestamptz,
    duration_order bytea NOT NULL DEFAULT '',
    register_duration_ms bigint,
    progress_order bytea NOT NULL DEFAULT '',
    register_progress jsonb,
    activities_order bytea NOT NULL DEFAULT '',
    register_activities_executed integer,
    cancel_request_order bytea NOT NULL DEFAULT '',
    register_cancel_requested_at timestamptz,

    -- registers that are only compared
    highest_claim_order bytea NOT NULL DEFAULT '',
    lowest_claim_order bytea NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,

    -- the row that readers see, derived from the registers above
    started_at timestamptz NOT NULL GENERATED ALWAYS AS (coalesce(register_started_at, created_at)) STORED,
    start_reported boolean NOT NULL GENERATED ALWAYS AS (register_started_at IS NOT NULL) STORED,
    duration_ms bigint GENERATED ALWAYS AS (
        CASE
            WHEN register_duration_ms IS NOT NULL AND same_verdict(duration_order, status_order)
                THEN register_duration_ms
            WHEN completed_at IS NOT NULL AND same_attempt(started_order, attempt)
                THEN greatest(0, floor(extract(epoch FROM completed_at - register_started_at) * 1000)::bigint)
        END
    ) STORED,
    error_message text GENERATED ALWAYS AS (error ->> 'message') STORED,
    activities_executed integer GENERATED ALWAYS AS (
        CASE WHEN same_attempt(activities_order, attempt) THEN register_activities_executed END
    ) STORED,
    progress jsonb GENERATED ALWAYS AS (
        CASE WHEN same_attempt(progress_order, attempt) THEN register_progress END
    ) STORED,
    cancel_requested_at timestamptz GENERATED ALWAYS AS (
        CASE WHEN same_attempt(cancel_request_order, attempt) THEN register_cancel_requested_at END
    ) STORED,
    -- Seven bytes: attempt, rank, authority and kind of the verdict shown. The eighth of a claim is its verb, and in
    -- the lowest claim the verb counted from 255 down.
    contested boolean NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN highest_claim_order <> '' AND substr(status_order, 1, 7) = substr(highest_claim_order, 1, 7)
                THEN get_byte(highest_claim_order, 7) + get_byte(lowest_claim_order, 7) <> 255
            ELSE false
        END
    ) STORED,

    applied_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT status_is_known CHECK (status IN (
        'pending', 'running', 'paused', 'retrying', 'completed', 'failed', 'cancelled', 'terminated', 'timed_out',
        'continued_as_new'
    )),
    CONSTRAINT terminal_status_has_completed_at CHECK (
        (completed_at IS NOT NULL)
        = (status IN ('completed', 'failed', 'cancelled', 'terminated', 'timed_out', 'continued_as_new'))
    ),
    CONSTRAINT attempt_is_positive CHECK (attempt >= 1),
    CONSTRAINT first_event_is_not_after_last CHECK (created_at <= updated_at),
    -- Python cannot read a time beyond its own calendar: one such row would break every list that contains it.
    CONSTRAINT times_are_readable CHECK (
        least(created_at, completed_at, register_started_at, scheduled_for, deleted_at, register_cancel_requested_at)
            >= '2000-01-01 00:00:00+00'
        AND greatest(updated_at, completed_at, register_started_at, scheduled_for, deleted_at, register_cancel_requested_at)
            < '2100-01-01 00:00:00+00'
    ),
    -- No ON DELETE CASCADE: a cascade would make the table differ from the log.
    CONSTRAINT workflow_is_known FOREIGN KEY (namespace, workflow_id) REFERENCES workflows (namespace, id),
    CONSTRAINT user_is_known FOREIGN KEY (created_by) REFERENCES users (id)
) WITH (fillfactor = 70);
COMMENT ON TABLE workflow_executions IS 'one row per run of a workflow: a function of the set of its events';
COMMENT ON COLUMN workflow_executions.applied_at IS 'when this service last changed the row; not part of the fold';

CREATE INDEX workflow_executions_by_temporal_workflow_id
    ON workflow_executions (namespace, temporal_workflow_id, started_at DESC, created_at DESC, id DESC);
CREATE INDEX workflow_executions_by_start
    ON workflow_executions (namespace, started_at DESC, id DESC);
CREATE INDEX workflow_executions_by_workflow
    ON workflow_executions (namespace, workflow_id, started_at DESC, id DESC);
CREATE INDEX workflow_executions_by_user
    ON workflow_executions (namespace, created_by, started_at DESC, id DESC);
CREATE INDEX workflow_executions_by_user_and_status
    ON workflow_executions (namespace, created_by, status, started_at DESC, id DESC);

-- What readers may rely on: the columns of the row without the registers behind them.
CREATE VIEW execution_rows AS
SELECT
    id,
    namespace,
    workflow_id,
    workflow_name,
    temporal_workflow_id,
    temporal_run_id,
    orchestrator,
    status,
    attempt,
    started_at,
    start_reported,
    completed_at,
    duration_ms,
    input,
    output,
    error,
    error_message,
    activities_executed,
    progress,
    reason,
    actor,
    created_by,
    scheduled_for,
    next_run_id,
    parent,
    root,
    labels,
    cancel_requested_at,
    deleted_at,
    contested,
    created_at,
    updated_at,
    applied_at
FROM workflow_executions;

-- What the consumer sends for one execution: the registers of a folded batch, under the names of the columns.
CREATE TYPE incoming_execution AS (
    id uuid,
    namespace text,
    temporal_workflow_id text,
    temporal_run_id text,
    created_at timestamptz,
    updated_at timestamptz,
    status_order bytea,
    status text,
    attempt integer,
    completed_at timestamptz,
    reason text,
    actor text,
    started_order bytea,
    register_started_at timestamptz,
    input_order bytea,
    input jsonb,
    output_order bytea,
    output jsonb,
    error_order bytea,
    error jsonb,
    duration_order bytea,
    register_duration_ms bigint,
    progress_order bytea,
    register_progress jsonb,
    activities_order bytea,
    register_activities_executed integer,
    cancel_request_order bytea,
    register_cancel_requested_at timestamptz,
    visibility_order bytea,
    deleted_at timestamptz,
    workflow_id_order bytea,
    workflow_id text,
    user_id_order bytea,
    created_by text,
    workflow_name_order bytea,
    workflow_name text,
    orchestrator_order bytea,
    orchestrator text,
    scheduled_for_order bytea,
    scheduled_for timestamptz,
    next_run_id_order bytea,
    next_run_id text,
    parent_order bytea,
    parent jsonb,
    root_order bytea,
    root jsonb,
    labels_order bytea,
    labels jsonb,
    highest_claim_order bytea,
    lowest_claim_order bytea
);

CREATE TABLE positions (
    consumer_group text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    claim_token uuid,
    owner text,
    claimed_at timestamptz,
    topic_id uuid,
    anchor_offset bigint,
    anchor bytea,
    state text NOT NULL DEFAULT 'live',
    fold_version integer NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer_group, topic, partition),
    CONSTRAINT next_offset_is_not_negative CHECK (next_offset >= 0),
    CONSTRAINT state_is_known CHECK (state IN ('live', 'halted'))
) WITH (fillfactor = 50);
COMMENT ON TABLE positions IS 'how far the table has applied each partition; the row is the truth, not the offset in Kafka';
COMMENT ON COLUMN positions.next_offset IS 'the first offset that is not applied';
COMMENT ON COLUMN positions.claim_token IS 'random, new for every claim: whoever holds another one is fenced';
COMMENT ON COLUMN positions.anchor IS 'SHA-256 of the record at anchor_offset, the last applied: another log under the same name differs';

CREATE TABLE dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer_group text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    record_timestamp_ms bigint,
    key bytea,
    value bytea,
    header_keys bytea [] NOT NULL, -- no text: Kafka allows a NUL in them
    header_values bytea [] NOT NULL,
    reason text NOT NULL,
    field text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    value_digest bytea GENERATED ALWAYS AS (sha256(coalesce(value, ''))) STORED,
    -- The value takes part because a topic that was made anew uses its offsets again.
    CONSTRAINT dead_letter_is_kept_once UNIQUE (consumer_group, topic, partition, "offset", value_digest)
);
COMMENT ON TABLE dead_letters IS 'records that are wrong in themselves, byte for byte, with the reason';

CREATE TABLE withheld_payloads (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer_group text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    execution_id uuid NOT NULL,
    fields text [] NOT NULL,
    codes text [] NOT NULL,
    value bytea NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    value_digest bytea GENERATED ALWAYS AS (sha256(value)) STORED,
    CONSTRAINT withheld_payload_is_kept_once UNIQUE (consumer_group, topic, partition, "offset", value_digest)
);
COMMENT ON TABLE withheld_payloads IS 'records that were applied without a payload that PostgreSQL cannot hold, byte for byte';

CREATE TABLE incidents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    consumer_group text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    from_offset bigint,
    to_offset bigint,
    detail text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    resolved_by text
);
COMMENT ON TABLE incidents IS 'what the consumer found wrong with a log, and whether somebody dealt with it';

CREATE TABLE sync_places (
    source text COLLATE "C" PRIMARY KEY,
    place timestamptz NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sync_places IS 'how far a sync has read a source; it overlaps on purpose';
