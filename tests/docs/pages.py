"""The pages that the tests hold against the code, and their tables."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the table on a page whose first column is called so, cell by cell, without the heading."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    [start] = [number for number, line in enumerate(lines) if line.startswith(f"| {heading} |")]
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows
