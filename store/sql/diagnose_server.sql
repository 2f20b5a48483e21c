SELECT
    clock_timestamp() AS time,
    current_setting('server_version') AS version,
    current_setting('server_version_num')::integer AS version_number,
    pg_is_in_recovery() AS in_recovery,
    current_user::text AS role
