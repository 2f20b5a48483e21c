-- A batch that waits, or is not done soon, is taken back: better many short ones than one that consumers wait for.
SELECT
    set_config('lock_timeout', $1, true),
    set_config('statement_timeout', $1, true),
    set_config('idle_in_transaction_session_timeout', $1, true)
