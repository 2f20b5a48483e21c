-- What a comparison of the table with a shadow finds.
CREATE UNLOGGED TABLE IF NOT EXISTS shadow_schema.differing (
    relation text COLLATE "C" NOT NULL,
    key text [] COLLATE "C" NOT NULL,
    kind text NOT NULL,
    lacks boolean NOT NULL,
    status_in_table text,
    status_in_log text,
    PRIMARY KEY (relation, key)
)
