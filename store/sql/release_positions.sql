UPDATE positions SET claim_token = NULL, owner = NULL WHERE consumer_group = $1 AND claim_token = $2
