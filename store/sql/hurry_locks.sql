-- Readers queue behind a lock that waits: better to give up soon and try again.
SET LOCAL lock_timeout = '300ms'
