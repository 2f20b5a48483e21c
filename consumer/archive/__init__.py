"""The archive: raw records of topics in files, kept for longer than Kafka keeps them."""
