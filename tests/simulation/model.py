"""The guard of a position, searched through in every order: `python -m tests.simulation.model` prints the table.

Two workers write a log of three records into a table. Kafka may give the log to anybody at any time, also to both. A
worker *claims* the position, reads the row, and *applies* batches: it moves the position and enters the records, if
the guard holds. What goes wrong beside that is chosen:

- *lost answer*: a transaction is committed, or is not, and its writer is told that it failed;
- *late write*: its writer is told that it failed, and it is committed later, whatever happens meanwhile;
- *failover*: the database becomes a copy that was taken earlier, once;
- *rebuild*: a new incarnation of the table begins at offset 0, folded by another version, once.

Safe means: in every state that can be reached, each record below the position was applied once and in order to this
incarnation of the table, and by its fold. The search goes breadth first, so that the story of a violation is short.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, Flag, auto
from functools import partial
from typing import NamedTuple

LOG_END = 3
CLAIMS_MAX = 3
WORKERS = (0, 1)
NOBODY = 0  # the token of a row that nobody has claimed


class Token(Enum):
    """What a claim leaves in the row."""

    NONE = auto()
    COUNTER = auto()  # the row's number and one; it begins anew with the table, and goes back with a failover
    RANDOM = auto()  # never the same again


class Fault(Flag):
    """What may go wrong beside rebalances."""

    NONE = 0
    LOST_ANSWER = auto()
    LATE_WRITE = auto()
    FAILOVER = auto()
    REBUILD = auto()


class Guard(NamedTuple):
    """Under which condition a write is done, and whether a writer in doubt reads the row or just tries again."""

    token: Token
    offset: bool
    resync: bool = True

    def __str__(self) -> str:
        parts = [] if self.token is Token.NONE else [f"{self.token.name.lower()} token"]
        parts += ["offset"] if self.offset else []
        return (" + ".join(parts) or "blind") + ("" if self.resync else ", no resync")


class Write(NamedTuple):
    """A batch on its way: under a token, over offsets, folded for an incarnation of the table."""

    token: int
    from_offset: int
    next_offset: int
    incarnation: int


class Worker(NamedTuple):
    """What a worker believes; without a claim it believes nothing."""

    claimed: bool = False
    token: int = NOBODY
    next_offset: int = 0
    incarnation: int = 0
    write: Write | None = None
    doubts: bool = False


class Table(NamedTuple):
    """The database: the row of the position, and the records that were applied, in that order."""

    next_offset: int = 0
    token: int = NOBODY
    incarnation: int = 0
    applied: tuple[int, ...] = ()


class State(NamedTuple):
    """Everything."""

    table: Table = Table()
    copy: Table | None = None
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    late: Write | None = None
    claims: int = 0
    failed_over: bool = False
    rebuilt: bool = False


Step = Callable[[], State]


class BrokenError(Exception):
    """A write that no guard may let through."""


@dataclass(frozen=True)
class Result:
    """How many states there are; the story that ends in a violation, if one does."""

    states: int
    story: tuple[str, ...] = ()

    @property
    def safe(self) -> bool:
        """Whether no state violates anything."""
        return not self.story


class Model:
    """The steps that are possible under a guard and some faults."""

    def __init__(self, guard: Guard, faults: Fault) -> None:
        self._guard = guard
        self._faults = faults
        # A late write multiplies the states; two claims are enough for everything that two workers can do to another.
        self._claims_max = CLAIMS_MAX if faults.value.bit_count() <= 3 else CLAIMS_MAX - 1

    def search(self) -> Result:
        """Go through all states that can be reached."""
        first = State()
        came_from: dict[State, tuple[State, str] | None] = {first: None}
        waiting = deque([first])
        while waiting:
            state = waiting.popleft()
            for told, step in self._steps(state):
                try:
                    following = step()
                    _demand_in_order(following.table)
                except BrokenError as error:
                    return Result(len(came_from), (*_story(came_from, state), told, f"violation: {error}"))
                if following not in came_from:
                    came_from[following] = (state, told)
                    waiting.append(following)
        return Result(len(came_from))

    def _steps(self, state: State) -> Iterator[tuple[str, Step]]:
        for number, worker in zip(WORKERS, state.workers, strict=True):
            yield from self._steps_of(state, number, worker)
        table = state.table
        if Fault.LATE_WRITE in self._faults and state.late is not None:
            late = state.late
            told = (
                f"the write {late.from_offset}..{late.next_offset} that was given up is committed, if the guard lets it"
            )
            yield told, lambda: state._replace(table=self._written(table, late)[0], late=None)
        if Fault.FAILOVER in self._faults and not state.failed_over:
            if state.copy is None:
                yield f"a copy of the database stays behind at {table.next_offset}", lambda: state._replace(copy=table)
            else:
                copy = state.copy
                yield (
                    f"failover: the position is {copy.next_offset} again",
                    lambda: state._replace(table=copy, copy=None, failed_over=True),
                )
        if Fault.REBUILD in self._faults and not state.rebuilt:
            token = NOBODY if self._guard.token is Token.COUNTER else -1  # random: one that nobody was ever given
            again = Table(token=token, incarnation=table.incarnation + 1)
            yield (
                "rebuild: the position is 0 again, the fold another",
                lambda: state._replace(table=again, rebuilt=True),
            )

    def _steps_of(self, state: State, number: int, worker: Worker) -> Iterator[tuple[str, Step]]:
        name = f"worker {number}"
        if state.claims < self._claims_max and worker.write is None and not worker.doubts:
            token = self._fresh(state)
            table = state.table._replace(token=token)
            with_claim = Worker(True, token, table.next_offset, table.incarnation)
            claimed = _with(state, number, with_claim)._replace(table=table, claims=state.claims + 1)
            yield f"{name} claims with token {token} and reads position {table.next_offset}", partial(_same, claimed)
        if worker.doubts:
            yield f"{name} reads the row", lambda: self._resynced(state, number, worker)
        elif worker.write is not None:
            yield from self._ends_of_write(state, number, worker, worker.write)
        elif worker.claimed:
            for end in range(worker.next_offset + 1, LOG_END + 1):
                write = Write(worker.token, worker.next_offset, end, worker.incarnation)
                begun = _with(state, number, worker._replace(write=write))
                yield f"{name} begins to write {write.from_offset}..{write.next_offset}", partial(_same, begun)

    def _ends_of_write(self, state: State, number: int, worker: Worker, write: Write) -> Iterator[tuple[str, Step]]:
        name = f"worker {number}: the write {write.from_offset}..{write.next_offset}"
        in_doubt = worker._replace(write=None, doubts=True) if self._guard.resync else worker

        def acknowledged() -> State:
            table, held = self._written(state.table, write)
            after = worker._replace(write=None, next_offset=write.next_offset)
            refused = worker._replace(write=None, doubts=True) if self._guard.resync else Worker()
            return _with(state, number, after if held else refused)._replace(table=table)

        yield f"{name} is committed, or fenced", acknowledged
        if Fault.LOST_ANSWER in self._faults:
            yield (
                f"{name} is done if the guard lets it, its answer is lost",
                lambda: _with(state, number, in_doubt)._replace(table=self._written(state.table, write)[0]),
            )
            yield f"{name} fails", lambda: _with(state, number, in_doubt)
        if Fault.LATE_WRITE in self._faults and state.late is None:
            yield f"{name} is given up by its writer", lambda: _with(state, number, in_doubt)._replace(late=write)

    def _fresh(self, state: State) -> int:
        match self._guard.token:
            case Token.NONE:
                return NOBODY
            case Token.COUNTER:
                return state.table.token + 1
            case Token.RANDOM:
                return state.claims + 1

    def _resynced(self, state: State, number: int, worker: Worker) -> State:
        table = state.table
        if self._guard.token is not Token.NONE and table.token != worker.token:
            return _with(state, number, Worker())
        return _with(state, number, Worker(True, worker.token, table.next_offset, table.incarnation))

    def _written(self, table: Table, write: Write) -> tuple[Table, bool]:
        """The table after a write, and whether the guard let it through."""
        if self._guard.token is not Token.NONE and table.token != write.token:
            return table, False
        if self._guard.offset and table.next_offset != write.from_offset:
            return table, False
        if write.incarnation != table.incarnation:
            msg = "a batch of the old fold went into the rebuilt table"
            raise BrokenError(msg)
        applied = table.applied + tuple(range(write.from_offset, write.next_offset))
        return table._replace(next_offset=write.next_offset, applied=applied), True


def _with(state: State, number: int, worker: Worker) -> State:
    first, second = state.workers
    return state._replace(workers=(worker, second) if number == 0 else (first, worker))


def _same(state: State) -> State:
    return state


def _demand_in_order(table: Table) -> None:
    if table.applied != tuple(range(table.next_offset)):
        msg = f"the position is {table.next_offset}, and applied were {list(table.applied)}"
        raise BrokenError(msg)


def _story(came_from: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    told = []
    while (before := came_from[state]) is not None:
        state, step = before
        told.append(step)
    return told[::-1]


SHIPPED = Guard(Token.RANDOM, offset=True)
GUARDS = (
    Guard(Token.NONE, offset=False),
    Guard(Token.COUNTER, offset=False),
    Guard(Token.RANDOM, offset=False),
    Guard(Token.RANDOM, offset=False, resync=False),
    Guard(Token.NONE, offset=True),
    Guard(Token.COUNTER, offset=True),
    Guard(Token.COUNTER, offset=True, resync=False),
    SHIPPED,
    Guard(Token.RANDOM, offset=True, resync=False),
)
THREE = Fault.LOST_ANSWER | Fault.FAILOVER | Fault.REBUILD
COLUMNS = {
    "rebalances": Fault.NONE,
    "late write": Fault.LATE_WRITE,
    "lost answer": Fault.LOST_ANSWER,
    "failover": Fault.FAILOVER,
    "rebuild": Fault.REBUILD,
    "these three": THREE,
    "all four": THREE | Fault.LATE_WRITE,
}


def main() -> int:
    """Print the table and one story per guard that can be broken; exit 1 if the shipped guard can."""
    results = {guard: {name: Model(guard, faults).search() for name, faults in COLUMNS.items()} for guard in GUARDS}
    sys.stdout.write(f"{'guard':36}" + "".join(f"{name:>12}" for name in COLUMNS) + "\n")
    for guard, row in results.items():
        cells = (f"{result.states:,}" if result.safe else "broken" for result in row.values())
        sys.stdout.write(f"{guard!s:36}" + "".join(f"{cell:>12}" for cell in cells) + "\n")
    sys.stdout.write("A number is that of the states searched, all of them safe.\n")
    for guard, row in results.items():
        name, broken = next(((name, result) for name, result in row.items() if not result.safe), ("", None))
        if broken is not None:
            sys.stdout.write(f"\n{guard}, broken by {name}:\n")
            sys.stdout.write("".join(f"{number:4} {told}\n" for number, told in enumerate(broken.story, 1)))
    return 0 if all(result.safe for result in results[SHIPPED].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
