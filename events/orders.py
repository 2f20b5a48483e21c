"""Orders: byte strings that sort the same in Python and in PostgreSQL.

An order is the concatenation of fixed-width big-endian parts, most important first, so that comparing two orders byte
by byte compares their parts from left to right. A *part* is a function of an event that returns its bytes; the
registers of `events.fold` are made of the parts below and of nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import orjson

from .models import Event
from .vocabulary import VERBS, Authority, Rank

Part = Callable[[Event], bytes]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST = 2**63 - 1
_VERB_CODE_MAX = 255

ATTEMPT_BYTES = slice(0, 4)  # of every order that begins with the attempt
VERB_BYTE = slice(15, 16)  # of every order of a verdict: attempt 4, rank 1, authority 1, T 9
CLAIM_BYTES = slice(0, 7)  # attempt, rank, authority and kind: what a verdict shares with the claims it is made from
CLAIM_VERB = 7


def microseconds(time: datetime) -> int:
    """Return the microseconds since 1970."""
    return (time - _EPOCH) // _MICROSECOND


def later(time: datetime) -> bytes:
    """Return 8 bytes that are greater for a later time."""
    return microseconds(time).to_bytes(8)


def earlier(time: datetime) -> bytes:
    """Return 8 bytes that are greater for an earlier time."""
    return (_LAST - microseconds(time)).to_bytes(8)


def digest(values: Sequence[object]) -> bytes:
    """Return 8 bytes of BLAKE2b over the values: equal orders must mean equal values."""
    return hashlib.blake2b(orjson.dumps(values), digest_size=8).digest()


def is_revision(event: Event) -> bool:
    """Whether the event corrects: any event of an operator, or of a server that revises."""
    return event.data.authority is Authority.OPERATOR or event.data.revises


def is_report(event: Event) -> bool:
    """Whether the event is a first-hand verdict: terminal, of a worker or a server, and not a revision."""
    reporter = event.data.authority in (Authority.WORKER, Authority.SERVER)
    return VERBS[event.verb].terminal and reporter and not is_revision(event)


def attempt(event: Event) -> bytes:
    """A higher attempt wins over everything before it."""
    return event.data.attempt.to_bytes(4)


def authority(event: Event) -> bytes:
    """The stronger word wins."""
    return event.data.authority.level.to_bytes()


def rank(event: Event) -> bytes:
    """A verdict (a report or a revision) wins over a step, a step over a sign of life."""
    verdict = is_report(event) or is_revision(event)
    return (Rank.VERDICT if verdict else VERBS[event.verb].rank).to_bytes()


def verdict_authority(event: Event) -> bytes:
    """Authority decides between verdicts only; steps are ordered by time, whoever reports them."""
    return authority(event) if is_report(event) or is_revision(event) else b"\x00"


def terminal(event: Event) -> bytes:
    """What ended the attempt wins over what only interrupted it."""
    return VERBS[event.verb].terminal.to_bytes()


def kind(event: Event) -> bytes:
    """A revision wins over a report of the same authority."""
    return is_revision(event).to_bytes()


def deciding_time(event: Event) -> bytes:
    """T: of reports the earlier (a run closes once), of everything else the later."""
    return earlier(event.time) if is_report(event) else later(event.time)


def fact_time(event: Event) -> bytes:
    """The first word about a fact stands, unless it is revised; of revisions the later wins."""
    return later(event.time) if is_revision(event) else earlier(event.time)


def later_time(event: Event) -> bytes:
    """The later event wins."""
    return later(event.time)


def earlier_time(event: Event) -> bytes:
    """The earlier event wins."""
    return earlier(event.time)


def verb(event: Event) -> bytes:
    """At equal times a later step of a normal life wins."""
    return VERBS[event.verb].code.to_bytes()


def verb_reversed(event: Event) -> bytes:
    """The verbs the other way round."""
    return (_VERB_CODE_MAX - VERBS[event.verb].code).to_bytes()


def started_earlier(event: Event) -> bytes:
    """The earlier start wins; the order contains the value."""
    return earlier(event.data.started_at or event.time)


def activities(event: Event) -> bytes:
    """The greater number wins; the order contains the value."""
    return (event.data.activities_executed or 0).to_bytes(8)


def duration(event: Event) -> bytes:
    """Between equal verdicts the longer duration wins; the order contains the value."""
    return (event.data.duration_ms or 0).to_bytes(8)


def restored_wins(event: Event) -> bytes:
    """At equal times a restored execution is shown."""
    return (event.verb == "restored").to_bytes()


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
