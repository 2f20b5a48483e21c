"""Redriving dead letters: each is decoded once more, and what is an event now is applied, in any order, at any time.

The fold does not care when an event comes, so nothing has to stop for it: a letter is applied through the store like
any record, in one transaction that notes that it is redriven. A letter that is still wrong is noted as such with its
reason, and stays. Whoever interrupts this loses nothing: what is redriven is not taken again.
"""

from __future__ import annotations

import random
from asyncio import sleep
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from consumer.batch import prepare
from consumer.chunk import Chunk, Prepared
from consumer.record import Record
from consumer.retry import backoff_seconds
from events.catalogue import Catalogue
from events.fold import State, merge
from events.position import TopicPartition
from store.batch import Batch
from store.dead_letters import DeadLetterFilter, DeadLetterReader, DeadLetterStore, DeadLetterSummary, KeptDeadLetter
from store.errors import FencedError, RefusedError, UnavailableError

PAGE = 200  # letters in a transaction
PAGE_BYTES = 8 * 1_048_576  # of their values
REDRIVES_MAX = 3  # a letter that was still wrong so often is passed over: asking a fourth time wants a reason
TRIES_MAX = 5  # of a transaction, while the database does not answer

# What was set aside under these is no record that could be decoded: a whole batch, or a record that lost a part of
# itself. Whoever has the original publishes it again.
NO_RECORDS = frozenset(
    {"too_many_records", "inflates_beyond_cap", "corrupt_batch", "malformed_record", "too_many_headers"}
)


@dataclass(slots=True)
class Redriven:
    """What redriving has come to.

    Attributes:
        applied: letters whose events are in the table.
        skipped: letters that turned out to be nothing to apply: a verb of a later version, no value.
        failed: letters that are still wrong, by reason.
        passed_over: letters that were not tried, by reason.
    """

    applied: int = 0
    skipped: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    passed_over: Counter[str] = field(default_factory=Counter)

    @property
    def seen(self) -> int:
        """How many letters were looked at."""
        return self.applied + self.skipped + self.failed.total() + self.passed_over.total()


class _Decoded(NamedTuple):
    """A letter and what became of it when it was decoded; `outcome` is empty where it is still wrong."""

    letter: KeptDeadLetter
    work: Prepared
    outcome: str


@dataclass(slots=True)
class Redrive:
    """One run over dead letters.

    Args:
        reader: finds them.
        store: applies them; None only says what would become of them, as far as decoding can tell.
        actor: who does this.
        again: try also those that were still wrong several times.
        progress: called after every page.
    """

    reader: DeadLetterReader
    store: DeadLetterStore | None
    actor: str
    again: bool = False
    progress: Callable[[Redriven], None] = lambda _: None
    done: Redriven = field(default_factory=Redriven)

    async def run(self, which: DeadLetterFilter) -> Redriven:
        """Redrive what a filter finds, the newest first.

        Raises:
            UnavailableError: the database does not answer; what was done stays done.
            MisconfiguredError: the database, a table or a right is missing.
        """
        before: int | None = None
        while page := await self.reader.list(which, before=before, limit=PAGE):
            before = page[-1].id
            for ids in _in_room([letter for letter in page if self._is_tried(letter)]):
                letters = await self.reader.get_all(ids)
                for _, of_group in groupby(sorted(letters, key=_group), key=_group):
                    await self._redrive([_decode(letter) for letter in of_group])
            self.progress(self.done)
        return self.done

    def _is_tried(self, letter: DeadLetterSummary) -> bool:
        why = ""
        if letter.reason in NO_RECORDS:
            why = letter.reason
        elif letter.redrives >= REDRIVES_MAX and not self.again:
            why = f"redriven {REDRIVES_MAX} times"
        if why:
            self.done.passed_over[why] += 1
        return not why

    async def _redrive(self, decoded: list[_Decoded]) -> None:
        wrong = {each.letter.id: each.work.dead_letters[0].reason for each in decoded if not each.outcome}
        await self._failed(wrong)
        await self._apply([each for each in decoded if each.outcome])

    async def _failed(self, reasons: dict[int, str]) -> None:
        self.done.failed.update(reasons.values())
        if reasons and self.store is not None:
            await self.store.note_failures(reasons, self.actor)

    async def _apply(self, decoded: Sequence[_Decoded]) -> None:
        """Apply letters in one transaction; if one of them stands in the way, find it by halving."""
        if not decoded:
            return
        try:
            await self._write(decoded)
        except (RefusedError, FencedError) as error:
            if len(decoded) > 1:
                await self._apply(decoded[: len(decoded) // 2])
                await self._apply(decoded[len(decoded) // 2 :])
            elif isinstance(error, RefusedError):
                await self._failed({decoded[0].letter.id: f"refused_{error.sqlstate or 'by_client'}"})
            else:
                self.done.passed_over["not open any more"] += 1
        else:
            outcomes = Counter(each.outcome for each in decoded)
            self.done.applied += outcomes["applied"]
            self.done.skipped += outcomes["skipped"]

    async def _write(self, decoded: Sequence[_Decoded]) -> None:
        if self.store is None:
            return
        outcomes = {each.letter.id: each.outcome for each in decoded}
        batch = _together(decoded)
        for failures in range(1, TRIES_MAX + 1):
            try:
                await self.store.redrive(outcomes, batch, self.actor)
            except UnavailableError:
                if failures == TRIES_MAX:
                    raise
                await sleep(backoff_seconds(failures, random.random()))  # noqa: S311 - jitter
            else:
                return


def _group(letter: KeptDeadLetter) -> str:
    return letter.consumer_group


def _in_room(letters: Sequence[DeadLetterSummary]) -> Iterator[list[int]]:
    """Yield the ids of letters, as many at a time as there is room for their values."""
    ids: list[int] = []
    room = PAGE_BYTES
    for letter in letters:
        room -= letter.value_bytes or 0
        if ids and room < 0:
            yield ids
            ids, room = [], PAGE_BYTES - (letter.value_bytes or 0)
        ids.append(letter.id)
    if ids:
        yield ids


def _decode(letter: KeptDeadLetter) -> _Decoded:
    partition = TopicPartition(letter.topic, letter.partition)
    timestamp = -1 if letter.record_timestamp_ms is None else letter.record_timestamp_ms
    record = Record(letter.offset, timestamp, letter.key, letter.value, letter.headers)
    slices = prepare(Chunk(0, {partition: (record,)}, {}))
    while True:
        try:
            next(slices)
        except StopIteration as end:
            work: Prepared = end.value
            outcome = "applied" if work.states else "" if work.dead_letters else "skipped"
            return _Decoded(letter, work, outcome)


def _together(decoded: Sequence[_Decoded]) -> Batch:
    """Return everything that letters hold as one batch that moves nothing."""
    states: dict[UUID, State] = {}
    catalogue = Catalogue()
    for each in decoded:
        catalogue.merge(each.work.catalogue)
        for state in each.work.states:
            held = states.get(state.run.id)
            states[state.run.id] = state if held is None else merge(held, state)
    withheld = [payload for each in decoded for payload in each.work.withheld]
    return Batch(decoded[0].letter.consumer_group, {}, list(states.values()), catalogue, (), withheld)
