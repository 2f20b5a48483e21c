"""`make mutants`: weakened copies of the fold, each of which the laws, the oracle or the lives must notice.

The mutants are generated from the shipped source: every part of every register's order is dropped once and reversed
once; what cannot be found in a table is listed below. Each is applied to a copy of the code, exactly once, and the
tests of `tests/laws` run over it. The unchanged code passes the same run first.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = tuple(f"tests/laws/test_{name}.py" for name in ("lives", "oracle", "pairs", "merge"))
AT_ONCE = 2
TIMEOUT_SECONDS = 180

FOLD, ORDERS, VOCABULARY, ROW = "events/fold.py", "events/orders.py", "events/vocabulary.py", "events/row.py"

DEFAULT_ORCHESTRATOR = """\
    Register("orchestrator", lambda _: True, _FACT, ("orchestrator",), field("orchestrator")),"""

FLIPPED = """\
def _flipped(piece):
    return bytes(255 - byte for byte in piece) if isinstance(piece, bytes) else piece - len(Slot)


"""

# file, what stands there, what the mutant has instead, and what that means
BY_HAND = (
    (FOLD, "cell.order > held.order", "cell.order < held.order", "the smaller order wins"),
    (FOLD, "cell.order > held.order", "True", "the last event wins"),
    (FOLD, "min(a.created_at, b.created_at)", "a.created_at", "created_at of whoever came first"),
    (FOLD, "max(a.updated_at, b.updated_at)", "b.updated_at", "updated_at of whoever came last"),
    (FOLD, "if digest is None else", "if True else", "no digest ends an order"),
    (FOLD, "voice.verb is Verb.STARTED or ", "", "`started` without started_at reports no start"),
    (FOLD, 'voice.verb is Verb.STARTED or "started_at"', "voice.verb is Verb.STARTED", "only `started` gives a start"),
    (FOLD, 'voice.verb is Verb.COMPLETED and "output"', '"output"', "any event gives an output"),
    (FOLD, "(ends or voice.verb is Verb.RETRYING) and", "ends and", "`retrying` gives no error"),
    (FOLD, "VERBS[voice.verb].terminal and voice.verb is not", "voice.verb is not", "any event gives an error"),
    (FOLD, "VERBS[voice.verb].terminal and field", "field", "any event gives a duration"),
    (FOLD, "(data.completed_at or event.time) if", "event.time if", "completed_at is ignored"),
    (FOLD, '    _fact("orchestrator"),', DEFAULT_ORCHESTRATOR, "a default outbids a statement"),
    (
        ORDERS,
        "return voice.authority is Authority.OPERATOR or voice.revises",
        "return voice.revises",
        "an operator does not revise",
    ),
    (
        ORDERS,
        "return voice.authority is Authority.OPERATOR or voice.revises",
        "return voice.authority is Authority.OPERATOR",
        "a server does not revise",
    ),
    (ORDERS, "in (Authority.WORKER, Authority.SERVER)", "in tuple(Authority)", "a guess is a report"),
    (ORDERS, "reporter and not is_revision(voice)", "reporter", "a revision is a report as well"),
    (
        ORDERS,
        "Slot.EARLIER if is_report(voice) else Slot.LATER",
        "Slot.LATER",
        "of reports the later wins",
    ),
    (
        ORDERS,
        "Slot.EARLIER if is_report(voice) else Slot.LATER",
        "Slot.EARLIER",
        "of revisions the earlier wins",
    ),
    (
        ORDERS,
        "Slot.LATER if is_revision(voice) else Slot.EARLIER",
        "Slot.EARLIER",
        "a revised fact does not change again",
    ),
    (
        ORDERS,
        "Slot.LATER if is_revision(voice) else Slot.EARLIER",
        "Slot.LATER",
        "the last word about a fact stands",
    ),
    (
        ORDERS,
        "else earlier(data.started_at)",
        "else later(data.started_at)",
        "the later start wins",
    ),
    (
        ORDERS,
        "by_time if data.started_at is None else earlier(data.started_at)",
        "by_time",
        "started_at takes no part in its order",
    ),
    (ORDERS, "(voice.verb is Verb.RESTORED)", "(voice.verb is Verb.DELETED)", "at equal times deletion wins"),
    (
        ORDERS,
        "ATTEMPT_BYTES] == status_order[ATTEMPT_BYTES] and order[VERB_BYTE]",
        "VERB_BYTE]",
        "a verdict's parts come from any attempt",
    ),
    (ORDERS, " and order[VERB_BYTE] == status_order[VERB_BYTE]", "", "a verdict's parts come from any status"),
    (
        ORDERS,
        "return order[ATTEMPT_BYTES] == attempt_shown.to_bytes(4)",
        "return True",
        "parts of any attempt are shown",
    ),
    (
        ORDERS,
        "if status_order[CLAIM_BYTES] != highest_claim[CLAIM_BYTES] or not highest_claim:",
        "if not highest_claim:",
        "claims of other attempts contest",
    ),
    (ROW, "max(0, measured)", "measured", "a duration may be negative"),
    (ROW, "reported is not None or ", "", "the measured duration hides the reported one"),
    (
        ROW,
        "started_at=started_at or state.created_at",
        "started_at=state.created_at",
        "the reported start is not shown",
    ),
)


@dataclass(frozen=True)
class Mutant:
    """One change to one file."""

    file: str
    source: str
    meaning: str


def mutants() -> list[Mutant]:
    """All of them."""
    return [*_by_hand(), *_of_orders(), *_of_verbs()]


def _by_hand() -> Iterator[Mutant]:
    for file, old, new, meaning in BY_HAND:
        source = (ROOT / file).read_text()
        assert source.count(old) == 1, f"{file} must hold exactly once: {old}"
        yield Mutant(file, source.replace(old, new), meaning)


def _of_orders() -> Iterator[Mutant]:
    """Drop and reverse each part of each order in the table of registers."""
    source = (ROOT / FOLD).read_text()
    for name, order in _orders(ast.parse(source)):
        for part in order.elts:
            if isinstance(part, ast.Starred):
                continue  # its parts have mutants of their own
            text = ast.get_source_segment(source, part)
            dropped = _replaced(source, part, "lambda _: b''")
            flipped = _replaced(source, part, f"(lambda voice: _flipped({text}(voice)))")
            yield Mutant(FOLD, dropped, f"{name}: without {text}")
            yield Mutant(FOLD, _with_flipped_slots(flipped), f"{name}: {text} reversed")


def _with_flipped_slots(source: str) -> str:
    """Put every slot's bytes upside down behind the others, where `_flipped` finds them counting from the end."""
    bytes_ = "bytes_ = orders.slots(event) + plan.shared"
    assert source.count(bytes_) == 1
    return source.replace(bytes_, f"{bytes_} + tuple(map(_flipped, orders.slots(event)))").replace(
        "def carries(", FLIPPED + "def carries(", 1
    )


def _orders(module: ast.Module) -> Iterator[tuple[str, ast.Tuple]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Register" and len(node.args) > 2:
            order, label = node.args[2], node.args[0]
            if isinstance(order, ast.Tuple) and isinstance(label, ast.Constant):
                yield str(label.value), order


def _replaced(source: str, node: ast.expr, text: str) -> str:
    lines = source.splitlines(keepends=True)
    assert node.end_lineno == node.lineno, "a part stands on one line"
    line = lines[node.lineno - 1]
    lines[node.lineno - 1] = line[: node.col_offset] + text + line[node.end_col_offset :]
    return "".join(lines)


def _of_verbs() -> Iterator[Mutant]:
    """Give each verb's claim another rank, and each pair of neighbours each other's places."""
    source = (ROOT / VOCABULARY).read_text()
    lines = [line for line in source.splitlines() if "VerbRule(Status." in line]
    for line in lines:
        if "Rank.STEP" not in line:
            rank = "SCHEDULED" if "Rank.SCHEDULED" in line else "SIGN_OF_LIFE"
            meaning = f"{line.split(':')[0].strip()} weighs as much as a step"
            yield Mutant(VOCABULARY, source.replace(line, line.replace(f"Rank.{rank}", "Rank.STEP")), meaning)
    coded = [(int(line.split(", ")[2]), line) for line in lines]
    for (code, line), (next_code, neighbour) in pairwise(coded[2:]):
        swapped = source.replace(line, line.replace(f", {code}, ", f", {next_code}, "))
        swapped = swapped.replace(neighbour, neighbour.replace(f", {next_code}, ", f", {code}, "))
        names = " and ".join(each.split(":")[0].strip() for each in (line, neighbour))
        yield Mutant(VOCABULARY, swapped, f"{names} change places")


def killer_of(mutant: Mutant | None) -> str | None:
    """The test that notices a mutant, or None if none does; the unchanged code for None."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        for package in ("events", "tests"):
            shutil.copytree(ROOT / package, Path(folder) / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        # The session's fixtures need the service; the laws need nothing but the fold.
        (Path(folder) / "tests" / "conftest.py").write_text("")
        if mutant is not None:
            (Path(folder) / mutant.file).write_text(mutant.source)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=no", *TESTS]
        environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        if ended.returncode == 0:
            return None
        noticed = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return noticed[0].split(" - ")[0].partition("::")[2] if noticed else ended.stdout.strip().splitlines()[-1]


def main() -> int:
    """Print the table; exit 1 if a mutant lives, or the unchanged code does not."""
    began = time.monotonic()
    if (killer := killer_of(None)) is not None:
        sys.stdout.write(f"the unchanged code fails {killer}\n")
        return 1
    every = mutants()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        killers = list(threads.map(killer_of, every))
    for mutant, killer in zip(every, killers, strict=True):
        sys.stdout.write(f"{'killed' if killer else 'ALIVE '}  {mutant.file:22} {mutant.meaning:60} {killer or ''}\n")
    alive = killers.count(None)
    sys.stdout.write(f"{len(every) - alive} of {len(every)} mutants killed in {time.monotonic() - began:.0f} s\n")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
