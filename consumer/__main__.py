"""`python -m consumer` is `wex`."""

from __future__ import annotations

from consumer.cli import main

if __name__ == "__main__":
    main()
