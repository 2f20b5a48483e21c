"""The demonstration: real workflows through the whole path, and every row held against the Temporal server."""
