"""The service and its command line: consumes lifecycle events, applies them, shows what they say."""
