"""Several consumers of one group, as one program: `python -m benchmarks.peers.crew 4` runs four, and ends with them."""

from __future__ import annotations

import signal
import subprocess
import sys
from types import FrameType

COMMAND = (sys.executable, "-m", "consumer", "consume", "--http-port", "off")


def main() -> int:
    """Start them, hand on the signal to end, and return the first code that is not 0."""
    crew: list[subprocess.Popen[bytes]] = []

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        for each in crew:
            each.send_signal(number)

    signal.signal(signal.SIGTERM, end)
    crew.extend(subprocess.Popen(COMMAND) for _ in range(int(sys.argv[1])))  # noqa: S603 - this interpreter
    return next(filter(None, [each.wait() for each in crew]), 0)


if __name__ == "__main__":
    sys.exit(main())
