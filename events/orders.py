"""Orders: byte strings that sort the same in Python and in PostgreSQL.

An order is the concatenation of fixed-width big-endian parts, most important first, so that comparing two orders byte
by byte compares their parts from left to right. The registers of `events.fold` are made of the parts below and of
nothing else.

Much of an order repeats from event to event: what follows from the verb, from who says it, and from whether it
revises. These three are an event's *voice*. A part is a function of the voice: it returns bytes, or the *slot* into
which the event's own bytes go (its attempt, its time, its numbers). So an order is worked out once for each voice, and
from then on filled in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import orjson

from .models import Event
from .vocabulary import VERBS, Authority, Rank, Verb

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 2**63 - 1
_VERB_CODE_MAX = 255
_NAMES_REMEMBERED = 4_096  # of at most 512 bytes each

ATTEMPT_BYTES = slice(0, 4)  # of every order that begins with the attempt
VERB_BYTE = slice(15, 16)  # of every order of a verdict: attempt 4, rank 1, authority 1, T 9
CLAIM_BYTES = slice(0, 7)  # attempt, rank, authority and kind: what a verdict shares with the claims it is made from
CLAIM_VERB = 7


class Voice(NamedTuple):
    """How an event speaks: everything about it that repeats and decides how much its word weighs."""

    verb: Verb
    authority: Authority
    revises: bool


class Slot(IntEnum):
    """A place in an order for bytes of the event's own; see `slots`."""

    ATTEMPT = 0
    EARLIER = 1
    LATER = 2
    STARTED_EARLIER = 3
    ACTIVITIES = 4
    DURATION = 5


Part = Callable[[Voice], bytes | Slot]


def microseconds(time: datetime) -> int:
    """Return the microseconds since 1970."""
    since = time - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def later(time: datetime) -> bytes:
    """Return 8 bytes that are greater for a later time."""
    return microseconds(time).to_bytes(8)


def earlier(time: datetime) -> bytes:
    """Return 8 bytes that are greater for an earlier time."""
    return (_LAST - microseconds(time)).to_bytes(8)


def slots(event: Event) -> tuple[bytes, ...]:
    """Return the event's own bytes, one for each `Slot` in their order."""
    data = event.data
    time = microseconds(event.time)
    by_time = (_LAST - time).to_bytes(8)
    return (
        data.attempt.to_bytes(4),
        by_time,
        time.to_bytes(8),
        by_time if data.started_at is None else earlier(data.started_at),
        (data.activities_executed or 0).to_bytes(8),
        (data.duration_ms or 0).to_bytes(8),
    )


def digest(values: Sequence[object]) -> bytes:
    """Return 8 bytes of BLAKE2b over the values: equal orders must mean equal values."""
    return hashlib.blake2b(orjson.dumps(values), digest_size=8).digest()


# The same few names come with every event; payloads hardly ever come twice.
digest_of_name = lru_cache(_NAMES_REMEMBERED)(digest)


def is_revision(voice: Voice) -> bool:
    """Whether the event corrects: any event of an operator, or of a server that revises."""
    return voice.authority is Authority.OPERATOR or voice.revises


def is_report(voice: Voice) -> bool:
    """Whether the event is a first-hand verdict: terminal, of a worker or a server, and not a revision."""
    reporter = voice.authority in (Authority.WORKER, Authority.SERVER)
    return VERBS[voice.verb].terminal and reporter and not is_revision(voice)


def attempt(_: Voice) -> Slot:
    """A higher attempt wins over everything before it."""
    return Slot.ATTEMPT


def authority(voice: Voice) -> bytes:
    """The stronger word wins."""
    return voice.authority.level.to_bytes()


def rank(voice: Voice) -> bytes:
    """A verdict (a report or a revision) wins over a step, a step over a sign of life."""
    verdict = is_report(voice) or is_revision(voice)
    return (Rank.VERDICT if verdict else VERBS[voice.verb].rank).to_bytes()


def verdict_authority(voice: Voice) -> bytes:
    """Authority decides between verdicts only; steps are ordered by time, whoever reports them."""
    return authority(voice) if is_report(voice) or is_revision(voice) else b"\x00"


def terminal(voice: Voice) -> bytes:
    """What ended the attempt wins over what only interrupted it."""
    return VERBS[voice.verb].terminal.to_bytes()


def kind(voice: Voice) -> bytes:
    """A revision wins over a report of the same authority."""
    return is_revision(voice).to_bytes()


def deciding_time(voice: Voice) -> Slot:
    """T: of reports the earlier (a run closes once), of everything else the later."""
    return Slot.EARLIER if is_report(voice) else Slot.LATER


def fact_time(voice: Voice) -> Slot:
    """The first word about a fact stands, unless it is revised; of revisions the later wins."""
    return Slot.LATER if is_revision(voice) else Slot.EARLIER


def later_time(_: Voice) -> Slot:
    """The later event wins."""
    return Slot.LATER


def earlier_time(_: Voice) -> Slot:
    """The earlier event wins."""
    return Slot.EARLIER


def verb(voice: Voice) -> bytes:
    """At equal times a later step of a normal life wins."""
    return VERBS[voice.verb].code.to_bytes()


def verb_reversed(voice: Voice) -> bytes:
    """The verbs the other way round."""
    return (_VERB_CODE_MAX - VERBS[voice.verb].code).to_bytes()


def started_earlier(_: Voice) -> Slot:
    """The earlier start wins; the order contains the value."""
    return Slot.STARTED_EARLIER


def activities(_: Voice) -> Slot:
    """The greater number wins; the order contains the value."""
    return Slot.ACTIVITIES


def duration(_: Voice) -> Slot:
    """Between equal verdicts the longer duration wins; the order contains the value."""
    return Slot.DURATION


def restored_wins(voice: Voice) -> bytes:
    """At equal times a restored execution is shown."""
    return (voice.verb is Verb.RESTORED).to_bytes()


def contested(status_order: bytes, highest_claim: bytes, lowest_claim: bytes) -> bool:
    """Whether the verdict shown is a report whose attempt and authority hold two different claims."""
    if status_order[CLAIM_BYTES] != highest_claim[CLAIM_BYTES] or not highest_claim:
        return False
    return highest_claim[CLAIM_VERB] != _VERB_CODE_MAX - lowest_claim[CLAIM_VERB]


def same_attempt(order: bytes, attempt_shown: int) -> bool:
    """Whether an order that begins with the attempt speaks of the attempt shown."""
    return order[ATTEMPT_BYTES] == attempt_shown.to_bytes(4)


def same_verdict(order: bytes, status_order: bytes) -> bool:
    """Whether an order of a verdict speaks of the attempt and the status shown."""
    return order[ATTEMPT_BYTES] == status_order[ATTEMPT_BYTES] and order[VERB_BYTE] == status_order[VERB_BYTE]
