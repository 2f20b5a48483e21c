"""Looking for what is wrong: facts are asked for at the edges, findings are drawn from them without I/O."""
