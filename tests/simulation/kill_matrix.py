"""`make kill-matrix`: weakened consumers, each of which the simulation must catch by an invariant with a name.

A weakened consumer is a copy of the core in which one text is replaced, a store whose guard or transactions are
another, or a shell (`World`) that does something else than `consumer.service`. Where another defence covers a
weakness, both are taken away, and the table says so. The consumer as it ships passes the same seeds.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from uuid import UUID

from consumer.record import Record
from events.position import TopicPartition
from store.batch import Applied, Batch, Incident, Move
from store.errors import FencedError
from tests.simulation.copies import Change, core_of
from tests.simulation.database import GROUP, LedgerStore, Transaction, Write
from tests.simulation.search import Failure, run
from tests.simulation.world import Member, World

SEEDS_MAX = 2_000
COMMAND = "python -m tests.simulation.kill_matrix --tell …"

CORE, PARTITION, CHUNK = "consumer.core", "consumer.partition", "consumer.chunk"


# Stores that are weaker than the one that ships.


class WithoutToken(LedgerStore):
    """The guard looks at the offset alone."""

    async def apply(self, batch: Batch) -> Applied:
        """Apply under whatever token there is."""
        batch.moves = {name: self._under_token_of_row(name, move) for name, move in batch.moves.items()}
        return await super().apply(batch)

    def _under_token_of_row(self, partition: TopicPartition, move: Move) -> Move:
        row = self.row(partition)
        return move if row is None else move._replace(token=row.token or move.token)


class WithoutOffset(LedgerStore):
    """The guard looks at the token alone."""

    async def apply(self, batch: Batch) -> Applied:
        """Apply from wherever the position is."""
        rows = {name: self.row(name) for name in batch.moves}
        batch.moves = {
            name: move if (row := rows[name]) is None else move._replace(from_offset=row.next_offset)
            for name, move in batch.moves.items()
        }
        return await super().apply(batch)


class DataBeforeOffset(LedgerStore):
    """The offset is written in a second transaction."""

    def transactions(self, write: Write) -> list[Transaction]:
        """The data first."""

        async def data() -> None:
            self.demand_guard(write)
            self.enter(write)

        return [data, lambda: self.move(write)]


class OffsetBeforeData(LedgerStore):
    """The data are written in a second transaction."""

    def transactions(self, write: Write) -> list[Transaction]:
        """The offset first."""

        async def data() -> None:
            self.enter(write)

        return [lambda: self.move(write), data]


class DeadLettersApart(LedgerStore):
    """Dead letters are written in a transaction of their own."""

    def transactions(self, write: Write) -> list[Transaction]:
        """The dead letters first, so that none is lost."""

        async def letters() -> None:
            self.demand_guard(write)
            self.enter_letters(write)

        async def others() -> None:
            await self.move(write)
            self.enter(write, letters=False)

        return [letters, others]


class WithoutAnchor(LedgerStore):
    """Nothing is kept by which a log can be told from another."""

    async def apply(self, batch: Batch) -> Applied:
        """Apply, and forget the last record."""
        batch.moves = {name: move._replace(anchor=None) for name, move in batch.moves.items()}
        return await super().apply(batch)


class HaltedByAnybody(LedgerStore):
    """A partition is halted without a look at the claim."""

    async def halt(self, consumer_group: str, token: UUID, next_offset: int, incident: Incident) -> None:
        """Halt under whatever token there is."""
        row = self.row(incident.partition)
        token = token if row is None or row.token is None else row.token
        await super().halt(consumer_group, token, next_offset, incident)


class HaltedAnywhere(LedgerStore):
    """A partition is halted without a look at its position."""

    async def halt(self, consumer_group: str, token: UUID, next_offset: int, incident: Incident) -> None:
        """Halt wherever the position is."""
        row = self.row(incident.partition)
        await super().halt(consumer_group, token, next_offset if row is None else row.next_offset, incident)


class GoesOnWhenHalted(LedgerStore):
    """The guard does not look at the state of the row."""

    async def apply(self, batch: Batch) -> Applied:
        """Apply as if nothing were halted."""
        before = dict(self._claims)
        for name in batch.moves:
            if (row := self.row(name)) is not None:
                self._claims[GROUP, name] = replace(row, halted=False)
        try:
            return await super().apply(batch)
        except FencedError:
            self._claims = before
            raise


# Shells that are weaker than the one that ships.


class CounterToken(World):
    """A claim's token is the highest number in the table and one."""

    def token(self, owner: str) -> UUID:
        """The next number."""
        del owner
        rows = [self.store.row(name) for name in self.logs]
        return UUID(
            int=1 + max((row.token.int for row in rows if row is not None and row.token is not None), default=0)
        )

    def rebuild_token(self) -> UUID | None:
        """A table that begins anew counts anew."""
        return UUID(int=0)


class TokenPerProcess(World):
    """A process claims under the same token all its life."""

    def token(self, owner: str) -> UUID:
        """The process's own."""
        return UUID(int=ord(owner[0]))


class RebuildKeepsTokens(World):
    """Whoever held a position before a rebuild holds it after."""

    def rebuild_token(self) -> UUID | None:
        """None: it stays."""
        return None


class AskedBefore(World):
    """The topics' ids are asked for before the records come."""

    def ask_and_accept(self, member: Member, fetched: dict[TopicPartition, list[Record]]) -> None:
        """Accept what comes under the ids that were known when the claim was made."""
        rows = {partition: self.store.row(partition) for partition in fetched}
        ids = {name: row.topic_id for name, row in rows.items() if row is not None and row.topic_id is not None}
        member.perform(member.core.fetched(fetched, ids))


class AcceptsLate(World):
    """What was fetched is accepted, whatever was sought to while the topics' ids were asked for."""

    def is_overtaken(self, member: Member, seeks: int) -> bool:
        """Never."""
        del member, seeks
        return False


class DrainedAtOnce(World):
    """A fetch that brings nothing is taken for the end of the log."""

    def drained_positions(self, member: Member) -> dict[TopicPartition, int]:
        """The ends of the logs."""
        return {name: self.logs[name].end for name in super().drained_positions(member)}


@dataclass(frozen=True)
class Weakened:
    """A consumer that is weaker than the one that ships.

    Attributes:
        caught_by: the invariants that may catch it; whichever comes first.
        covered_by: the defence that was taken away from the store as well, without which the weakness shows nowhere.
    """

    meaning: str
    caught_by: tuple[str, ...]
    changes: tuple[Change, ...] = ()
    store: type[LedgerStore] = LedgerStore
    shell: type[World] = World
    covered_by: str = ""

    @property
    def cover(self) -> Weakened | None:
        """The consumer that has lost nothing but the defence that covers this weakness."""
        return replace(self, changes=(), covered_by="") if self.covered_by else None

    def world_class(self) -> type[World]:
        """A world with this consumer in it."""
        core_class = core_of(self.changes) if self.changes else World.core_class
        return type(self.shell.__name__, (self.shell,), {"core_class": core_class, "store_class": self.store})


NO_RESYNC = Change(
    CORE,
    "self._doubt = self._back_off = True",
    "self._back_off = True",
)
NO_HOLE_RULE = Change(PARTITION, "if new and self.doubts_hole(new):", "if False:")
ANY_CLAIM_IS_OURS = Change(
    PARTITION,
    "return self.phase is Phase.CLAIMED",
    "return self.token is not None and self.phase is not Phase.HALTED",
)
NO_PAUSE = Change(
    CORE, "return [Pause(names), *(Seek(name, 0) for name in names)]", "return [Seek(name, 0) for name in names]"
)
NO_SEEK_AFTER_CLAIM = Change(
    CORE,
    "commands += [Seek(name, partition.start), Resume((name,))]",
    "commands += [Resume((name,))]",
)
STALE_CLAIM = Change(
    CORE,
    "return []\n        commands: list[SourceCommand] = []\n        for name, claim in sorted(claims.items()):",
    "claims = {name: claim for name, claim in claims.items() if name in self._partitions}\n"
    "        commands: list[SourceCommand] = []\n        for name, claim in sorted(claims.items()):",
)
RESET_AT_CLAIM = Change(PARTITION, " or self.outside(log)", "")
RESET_AT_FETCH = Change(
    CORE,
    "commands += self._halt(partition, partition.made_anew(logs[name].topic_id) or partition.outside(logs[name]))",
    "if partition.made_anew(logs[name].topic_id) or partition.outside(logs[name]):\n"
    "                self._queue.append(Chunk(self.generation, {}, {name: partition.read_to(logs[name].start)}))",
)
CLAIM_HALTED = Change(
    PARTITION, "self.phase = Phase.HALTED if claim.halted else Phase.CLAIMED", "self.phase = Phase.CLAIMED"
)
NO_ANCHOR_OF_HALTED = Change(
    PARTITION, "in_log = claim.anchor is not None and", "in_log = not claim.halted and claim.anchor is not None and"
)
READ_ON_AFTER_FENCE = Change(
    PARTITION,
    "self.phase = Phase.ASSIGNED\n            return [Pause((self.name,))]",
    "self.phase = Phase.ASSIGNED\n            return []",
)

MATRIX = (
    Weakened("no token", ("own claim",), store=WithoutToken),
    Weakened("no offset in the guard", ("once", "in order"), store=WithoutOffset),
    Weakened("the token counts", ("own claim",), shell=CounterToken),
    Weakened("a token per process", ("own claim",), shell=TokenPerProcess),
    Weakened("the offset in a second transaction", ("position with effects",), store=DataBeforeOffset),
    Weakened("the offset before the data", ("position with effects",), store=OffsetBeforeData),
    Weakened("dead letters in a transaction of their own", ("dead letters",), store=DeadLettersApart),
    Weakened("no anchor", ("own log",), store=WithoutAnchor),
    Weakened("a rebuild that keeps the tokens", ("own claim",), shell=RebuildKeepsTokens),
    Weakened("anybody halts", ("own claim",), store=HaltedByAnybody),
    Weakened("a halt wherever the position is", ("incident",), store=HaltedAnywhere),
    Weakened(
        "the ids of topics are not compared",
        ("own log",),
        (Change(PARTITION, "if topic_id is None or self.topic_id in (None, topic_id):", "if True:"),),
    ),
    Weakened(
        "what was fetched before a seek is accepted after it", ("position with effects", "own log"), shell=AcceptsLate
    ),
    Weakened("the ids of topics are asked for before the records come", ("own log",), shell=AskedBefore),
    Weakened("a fetch without records is the end of the log", ("position with effects",), shell=DrainedAtOnce),
    Weakened(
        "no look at the row after a failure",
        ("once",),
        (NO_RESYNC,),
        store=WithoutOffset,
        covered_by="the offset in the guard",
    ),
    Weakened(
        "records of what is not ours any more",
        ("own claim",),
        (ANY_CLAIM_IS_OURS, READ_ON_AFTER_FENCE),
        store=WithoutToken,
        covered_by="the token in the guard",
    ),
    Weakened(
        "a claim of an older assignment is believed",
        ("own claim",),
        (STALE_CLAIM,),
        store=WithoutToken,
        covered_by="the token in the guard",
    ),
    Weakened(
        "a failed fetch is not sought back",
        ("position with effects",),
        (
            Change(
                CORE,
                "return [Seek(name, partition.start) for name, partition in self._claimed(self._partitions)]",
                "return []",
            ),
        ),
    ),
    Weakened(
        "no pause at the assignment: one halted partition stops them all",
        ("live",),
        (NO_PAUSE,),
    ),
    Weakened("no seek after the claim", ("own log", "position with effects"), (NO_SEEK_AFTER_CLAIM,)),
    Weakened("the hole rule is off", ("position with effects",), (NO_HOLE_RULE,)),
    Weakened(
        "the last record and one, never the position behind markers",
        ("live",),
        (Change(CORE, "if len(self._queue) or self._doubt or self._stopping:", "if True:"),),
    ),
    Weakened(
        "reset to the earliest instead of a halt",
        ("position with effects", "live"),
        (RESET_AT_CLAIM, RESET_AT_FETCH),
    ),
    Weakened(
        "a log that was cut off is called a gap",
        ("incident",),
        (Change(PARTITION, "if offset < log.start:", "if not log.start <= offset <= log.end:"),),
    ),
    Weakened(
        "another record at the anchor is not minded",
        ("own log",),
        (Change(PARTITION, 'return Incident("another_log"', 'return None and Incident("another_log"'),),
    ),
    Weakened(
        "the claims are released before the last commit",
        ("clean stop",),
        (Change(CORE, "if self._stopping and not len(self._queue) else", "if self._stopping else"),),
    ),
    Weakened(
        "a halted partition is read on",
        ("halted",),
        (CLAIM_HALTED, NO_ANCHOR_OF_HALTED),
        store=GoesOnWhenHalted,
        covered_by="the state in the guard",
    ),
    Weakened(
        "as many chunks as come",
        ("bounded",),
        (Change(CORE, "return len(self._queue) < CHUNKS_MAX and not", "return not"),),
    ),
    Weakened(
        "a chunk of any size",
        ("bounded",),
        (Change(CHUNK, "if room < 0 and count >= least:", "if False:"),),
    ),
    Weakened(
        "the row is read, and not sought to",
        ("position with effects",),
        (Change(PARTITION, "return [Seek(self.name, self.start)] if moved else []", "return []"),),
    ),
    Weakened(
        "a fence is taken for a passing failure",
        ("live",),
        (
            Change(
                CORE,
                "self._database_busy = self._auditing = False\n        self._doubt = True\n\n",
                "self._database_busy = self._auditing = False\n\n",
            ),
        ),
    ),
    Weakened(
        "a lifted halt is not noticed",
        ("live",),
        (Change(CORE, "        self._let_go_of_lifted(claims)\n", ""),),
    ),
    Weakened(
        "a refused chunk is set aside whole",
        ("dead letters",),
        (Change(CORE, "chunk.halves() or [chunk.set_aside(refusal)]", "[chunk.set_aside(refusal)]"),),
    ),
    Weakened(
        "the second half of a refused chunk goes first",
        ("in order", "once"),
        (Change(CHUNK, "self._chunks.extendleft(reversed(chunks))", "self._chunks.extendleft(chunks)"),),
        store=WithoutOffset,
        covered_by="the offset in the guard",
    ),
)


def caught(weakened: Weakened, seeds: int = SEEDS_MAX) -> Failure | None:
    """The first seed that catches a weakened consumer, if one does."""
    world_class = weakened.world_class()
    cover_class = None if weakened.cover is None else weakened.cover.world_class()
    for seed in range(seeds):
        failure = run(seed, world_class, COMMAND)
        if failure is not None and (cover_class is None or run(seed, cover_class) is None):
            return failure
    return None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="See each weakened consumer caught by an invariant.")
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, help="tried per weakened consumer")
    parser.add_argument("--tell", default="", help="print the story of those whose meaning contains this")
    return parser.parse_args()


def main() -> int:
    """Print the table; exit 1 if a weakened consumer survives or crashes, or the one that ships does not pass."""
    options = _options()
    began, most, alive = time.monotonic(), 1, 0
    sys.stdout.write(f"{'weakened':66}{'seeds':>6}  caught by\n")
    for weakened in MATRIX:
        failure = caught(weakened, options.seeds)
        right = failure is not None and failure.name in weakened.caught_by
        alive += not right
        needed, name = (failure.seed + 1, failure.name) if failure else (options.seeds, "")
        most = max(most, needed)
        note = f", without {weakened.covered_by}" if weakened.covered_by else ""
        sys.stdout.write(f"{weakened.meaning:66}{needed:6}  {name if right else 'ALIVE ' + name}{note}\n")
        if failure is not None and (not right or (options.tell and options.tell in weakened.meaning)):
            sys.stdout.write(failure.story)
    sys.stdout.write(f"{len(MATRIX) - alive} of {len(MATRIX)} caught in {time.monotonic() - began:.0f} s\n")
    if (failure := next(filter(None, map(run, range(most))), None)) is not None:
        sys.stdout.write(f"the consumer as it ships fails as well:\n{failure.story}")
        return 1
    sys.stdout.write(f"the consumer as it ships passes the same {most} seeds\n")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
