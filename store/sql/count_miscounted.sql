-- How many counts are wrong, by workflow, five minutes, status and bin.
SELECT count(*) FROM live_schema.statistics_missing
