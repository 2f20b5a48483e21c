"""An archive run that stops at a moment and waits there, to be killed: `archiver.py SERVERS FOLDER TOPIC MOMENT`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from consumer.archive import files, writing
from consumer.replay import log_source
from consumer.replay.log_source import LogSource

MOMENTS = ("adding", "finishing", "checksum", "renamed")


def wait(*_: object) -> None:
    """Say that the moment has come, and wait for a line."""
    sys.stdout.write("now\n")
    sys.stdout.flush()
    sys.stdin.readline()


def stop_at(moment: str) -> None:
    """Wait the second time that the writing comes to a moment."""
    times = 0

    def before(function: Any, after: bool = False) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal times
            times += 1
            if times == 2 and not after:
                wait()
            done = function(*arguments, **named)
            if times == 2 and after:
                wait()
            return done

        return call

    match moment:
        case "adding":
            files._File._write_group = before(files._File._write_group, after=True)  # type: ignore[method-assign] # to be stopped
        case "finishing":
            files._File.finish = before(files._File.finish)  # type: ignore[method-assign] # to be stopped
        case "checksum":
            files._write_whole = before(files._write_whole, after=True)
        case _:
            files._folder_to_disk = before(files._folder_to_disk)


async def main(servers: str, folder: str, topic: str, moment: str) -> None:
    """Archive a topic in small files, and wait at a moment."""
    log_source.RECORDS_MAX = files.GROUP_RECORDS = 10
    files.FILE_RECORDS = 20
    stop_at(moment)
    async with LogSource(servers) as source:
        await writing.archive(source, Path(folder), (topic,), accepted={})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
