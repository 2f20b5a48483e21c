"""Other ways to get the same log into a table of PostgreSQL, each a program that runs until it is stopped."""
