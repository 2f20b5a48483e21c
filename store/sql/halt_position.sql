-- Halts a partition for whoever holds the claim, at the position that its incident is about.
UPDATE positions SET state = 'halted'
WHERE consumer_group = $1 AND topic = $2 AND partition = $3 AND claim_token = $4 AND next_offset = $5 AND state = 'live'
