"""The local stack: PostgreSQL, Kafka and Temporal as child processes, from packages alone, on the loopback address."""
