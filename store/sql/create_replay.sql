-- What a replay is and where it stands: one row, in the shadow itself, so that there is no replay without one.
CREATE TABLE shadow_schema.replay (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    step text NOT NULL,
    fold_version integer NOT NULL,
    table_in text NOT NULL,
    scope jsonb NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
)
