-- Waits for the batch of a purge that is under way, and lets none begin until the end of the transaction.
LOCK TABLE live_schema.purges IN EXCLUSIVE MODE
