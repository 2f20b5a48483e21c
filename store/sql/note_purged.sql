-- Its time is the one at which the rows were deleted, and not the one at which the batch began to wait for a swap.
UPDATE purges
SET executions = executions + $2, worked_at = clock_timestamp()
WHERE id = $1
