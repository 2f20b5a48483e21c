SELECT max(next_offset) AS next_offset FROM positions WHERE topic = $1 AND partition = $2
