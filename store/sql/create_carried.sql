-- Rows that the table knew more about than the log, and that were merged into the shadow.
CREATE TABLE shadow_schema.carried (
    relation text COLLATE "C" NOT NULL,
    key text [] COLLATE "C" NOT NULL,
    PRIMARY KEY (relation, key)
)
