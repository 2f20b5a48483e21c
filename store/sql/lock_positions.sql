-- Waits for what is being applied, and lets nothing be applied until the end of the transaction; reading goes on.
LOCK TABLE live_schema.positions IN EXCLUSIVE MODE
