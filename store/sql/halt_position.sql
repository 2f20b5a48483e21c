UPDATE positions SET state = 'halted' WHERE consumer_group = $1 AND topic = $2 AND partition = $3 AND claim_token = $4
