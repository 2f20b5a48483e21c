"""Several consumers of one group, as one program: `python -m benchmarks.peers.crew 4` runs four, and ends with them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

COMMAND = (sys.executable, "-m", "consumer", "consume", "--http-port", "off")
LOOK_SECONDS = 0.2


def main() -> int:
    """Start them; when one ends, or this is asked to, end all, and return the first code that is not 0."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    crew = [subprocess.Popen(COMMAND) for _ in range(int(sys.argv[1]))]  # noqa: S603 - this interpreter
    while not asked and all(each.poll() is None for each in crew):
        time.sleep(LOOK_SECONDS)
    for each in crew:
        each.terminate()
    return next(filter(None, [each.wait() for each in crew]), 0 if asked else 1)


if __name__ == "__main__":
    sys.exit(main())
