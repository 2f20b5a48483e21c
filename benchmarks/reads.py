"""What reading costs at ten million executions, beside one million: `make bench-reads`.

Makes both tables on a PostgreSQL of its own (minutes; with `--keep FOLDER` once), asks through `ExecutionReader`, and
prints the median, the 99th percentile and the longest answer in milliseconds as a caller in Python sees them. Both
tables take turns, question by question. Arguments differ from one asking to the next, so that no page that happens to
be cached answers all. Caches are warm: the table was just made, PostgreSQL has its own 128 MB, and the system's cache
the rest of memory; `--cold` also asks each question of the larger table once right after both were emptied.

Goals: 10 ms for a page at any depth, 25 ms for counts and statistics (99th percentile); and at the larger table at most
twice the 99th percentile of the smaller one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import psutil

from benchmarks.questions import QUESTIONS, SEARCHES, Draw, Question
from benchmarks.table import Table, server, table
from consumer.local.postgres import PostgresServer
from store import ExecutionQueryError, ExecutionReader

WARMING = 10  # askings before those that count
SECONDS_EACH = 30.0  # after so many a question is not asked again, however few its answers are
GROWTH = 2.0  # how much longer the larger table may take
NOISE_MS = 1.0  # growth below is that of the clock, not of the table


@dataclass(frozen=True, slots=True)
class Answers:
    """What asking a question many times gave, in milliseconds.

    Attributes:
        given_up: how many ended with an error: the reader's timeout of 8 seconds.
        cold: the first answer after the caches were emptied.
    """

    asked: int
    given_up: int
    p50: float
    p99: float
    longest: float
    cold: float | None = None


async def ask(reader: ExecutionReader, question: Question, draw: Draw, times: int) -> Answers:
    """Ask a question so many times, or for as long as is bearable."""
    for _ in range(question.prepared):
        await question.ask(reader, draw)
    end = time.monotonic() + SECONDS_EACH
    took: list[float] = []
    given_up = 0
    for number in range(-WARMING, times):
        seconds, answered = await _once(reader, question, draw)
        if number >= 0 or seconds > SECONDS_EACH / WARMING:
            took.append(1_000 * seconds)
            given_up += not answered
        if time.monotonic() > end:
            break
    took.sort()
    return Answers(len(took), given_up, _rank(took, 0.5), _rank(took, 0.99), round(took[-1], 2))


async def _once(reader: ExecutionReader, question: Question, draw: Draw) -> tuple[float, bool]:
    began = time.perf_counter()
    try:
        await question.ask(reader, draw)
    except ExecutionQueryError:
        return time.perf_counter() - began, False
    return time.perf_counter() - began, True


def _rank(took: Sequence[float], share: float) -> float:
    return round(took[max(0, -int(-share * len(took) // 1) - 1)], 2)


async def compare(
    tables: Sequence[Table], questions: Sequence[Question], times: int, seed: int
) -> list[dict[str, Any]]:
    """Return what each question took of each table, and what is to be said of it."""
    found = []
    for question in questions:
        answers = {}
        for each in tables:
            async with ExecutionReader.connect(each.url) as reader:
                answers[each.rows] = await ask(reader, question, Draw(each, Random(seed)), times)  # noqa: S311 - a draw that can be repeated
        found.append(judged(question, answers))
        _say(f"{question.name}: {found[-1]['said']}")
    return found


def judged(question: Question, answers: dict[int, Answers]) -> dict[str, Any]:
    """Return the answers with what they say about the goals."""
    small, large = answers[min(answers)], answers[max(answers)]
    growth = round(large.p99 / small.p99, 1)
    grew = len(answers) > 1 and growth > GROWTH and large.p99 - small.p99 > NOISE_MS
    missed = [f"{question.goal_ms:g} ms" for _ in (1,) if question.goal_ms and large.p99 > question.goal_ms]
    missed += ["given up"] * bool(large.given_up) + ["growth"] * grew
    return {
        "question": question.name,
        "goal_ms": question.goal_ms,
        "rows": {str(rows): asdict(each) for rows, each in answers.items()},
        "growth": growth,
        "said": "missed: " + ", ".join(missed) if missed else "kept" if question.goal_ms else "",
    }


async def ask_cold(postgres: PostgresServer, tables: Sequence[Table], found: Sequence[dict[str, Any]]) -> None:
    """Ask each question of the largest table once with empty caches, and note it."""
    largest = max(tables, key=lambda each: each.rows)
    known = {each.name: each for each in (*QUESTIONS, *SEARCHES)}
    for each in found:
        question = known[each["question"]]
        if question.prepared:
            continue  # what prepares it would warm the caches
        postgres.stop()
        forget(postgres.folder)
        postgres.start()
        async with ExecutionReader.connect(largest.url) as reader:
            seconds, _ = await _once(reader, question, Draw(largest, Random(time.time_ns())))  # noqa: S311 - places not yet seen
        each["rows"][str(largest.rows)]["cold"] = round(1_000 * seconds, 1)


def forget(folder: Path) -> None:
    """Let the system forget what it holds of a folder's files."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Make the tables, or take those that are there, and ask."""
    with server(folder, _say) as postgres:
        tables = [asyncio.run(table(postgres.url, rows, options.seed, _say)) for rows in sorted(set(options.rows))]
        asked = {"searches": SEARCHES, "questions": QUESTIONS, "all": (*QUESTIONS, *SEARCHES)}[options.ask]
        chosen = [each for each in asked if not options.only or options.only in each.name]
        found = asyncio.run(compare(tables, chosen, options.times, options.seed))
        if options.cold:
            asyncio.run(ask_cold(postgres, tables, found))
        return {"tables": [asyncio.run(told(each)) for each in tables], "machine": machine(), "questions": found}


async def told(made: Table) -> dict[str, Any]:
    """Return what is to be known of a table."""
    connection = await asyncpg.connect(made.url)
    row = await connection.fetchrow(
        """SELECT pg_table_size('workflow_executions') AS table_bytes,
        pg_indexes_size('workflow_executions') AS index_bytes, current_setting('shared_buffers') AS shared_buffers"""
    )
    await connection.close()
    assert row is not None
    return {"rows": made.rows, "seed": made.seed, "seconds_to_make": made.seconds, **dict(row)}


def machine() -> dict[str, Any]:
    """Return what the figures were taken on."""
    memory = psutil.virtual_memory().total
    return {"processors": os.cpu_count(), "memory_bytes": memory, "load": [round(each, 1) for each in os.getloadavg()]}


def as_text(measured: dict[str, Any]) -> str:
    """Return the table that people read."""
    sizes = [each["rows"] for each in measured["tables"]]
    head = ["", *(f"{_short(rows)} {name}" for rows in sizes for name in ("p50", "p99", "longest")), "growth", "goal"]
    cold = any(each["rows"][str(sizes[-1])]["cold"] is not None for each in measured["questions"])
    lines = [[*head, *(["cold"] if cold else []), ""]]
    for each in measured["questions"]:
        answers = [each["rows"][str(rows)] for rows in sizes]
        goal = "" if each["goal_ms"] is None else f"{each['goal_ms']:g}"
        figures = [f"{answer[name]:.1f}" for answer in answers for name in ("p50", "p99", "longest")]
        chill = [f"{answers[-1]['cold'] or float('nan'):.0f}"] if cold else []
        lines.append([each["question"], *figures, f"{each['growth']:.1f}", goal, *chill, each["said"]])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_aligned(line, widths) for line in lines)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    """Return a line whose figures stand to the right."""
    name, *figures, said = line
    cells = [cell.rjust(width) for cell, width in zip(figures, widths[1:-1], strict=True)]
    return "  ".join([name.ljust(widths[0]), *cells, said]).rstrip()


def _short(rows: int) -> str:
    return f"{rows / 1e6:g}M"


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000], help="of the tables to compare")
    parser.add_argument("--seed", type=int, default=1, help="another one makes other rows, and draws others")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep the tables there (20 GB), or take those there"
    )
    parser.add_argument("--times", type=int, default=500, help="how often each question is asked")
    parser.add_argument("--ask", choices=("questions", "searches", "all"), default="questions")
    parser.add_argument("--only", metavar="TEXT", default="", help="questions with this in their name")
    parser.add_argument("--cold", action="store_true", help="ask once more with empty caches")
    parser.add_argument("--json", action="store_true", help="print one object")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        measured = measure(options, options.keep)
    else:
        with tempfile.TemporaryDirectory(prefix="wex-bench-") as folder:
            Path(folder).chmod(0o755)  # PostgreSQL may run as another user, who has to pass through
            measured = measure(options, Path(folder))
    sys.stdout.write((json.dumps(measured, indent=2) if options.json else as_text(measured)) + "\n")


if __name__ == "__main__":
    main()
