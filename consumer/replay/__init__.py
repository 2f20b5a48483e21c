"""Replay: reading a bounded part of the log again, beside the consumers, to verify, repair or rebuild the table."""
