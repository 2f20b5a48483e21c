"""One module per command of `wex`; each is imported only when its command runs."""
