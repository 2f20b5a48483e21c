"""The kinds of incidents, as data: what each means, what an operator does about it, and where reading goes on."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class GoOn(Enum):
    """Where reading goes on after an operator has accepted an incident, if no offset is named."""

    LOG_START = auto()  # everything that the log has is read; events that the table has already change nothing
    NAMED = auto()  # nobody but the operator knows where the damage ends
    SAME = auto()  # nothing is halted


class Kind(NamedTuple):
    """One kind of incident.

    Attributes:
        meaning: what is wrong, in a clause.
        to_do: what to do, in one line.
        go_on: where reading goes on after it was accepted.
        advice: the same spelled out; `{partition}` stands for the partition.
        another_log: whether the log may be another one by now, of which nothing was applied.
    """

    meaning: str
    to_do: str
    go_on: GoOn
    advice: str
    another_log: bool = False


KINDS: dict[str, Kind] = {
    "gap": Kind(
        "records were deleted from the log before they were applied",
        "publish what is gone once more, then accept-gap",
        GoOn.LOG_START,
        "Retention, or somebody with kafka-delete-records, was faster than the consumer. What is gone is gone from"
        " Kafka: if its publishers can publish it once more, let them; events may come late and twice. Then `wex"
        " incidents accept-gap {partition}` reads on at the log's start. Keep the events for longer"
        " (retention.ms=-1).",
    ),
    "truncated": Kind(
        "the log ends before the position: it was cut off, or the topic was made anew",
        "find out which; accept-gap reads the log from its start",
        GoOn.LOG_START,
        "After an unclean election a broker may lack records that were applied here: if the log can be restored,"
        " restore it, and `wex incidents resume {partition}`. If the log is as it is, or the topic was made anew, `wex"
        " incidents accept-gap {partition}` reads it from its start; what the table has already stays, and is not"
        " doubled.",
        another_log=True,
    ),
    "recreated": Kind(
        "the topic was made anew: Kafka gives its name another id",
        "if that was on purpose, accept-gap",
        GoOn.LOG_START,
        "Nothing of the new topic was applied. If these are the wrong brokers, correct the address and `wex incidents"
        " resume {partition}`. If the topic was made anew, `wex incidents accept-gap {partition}` reads it from its"
        " start; what the table has already stays. Records of the old topic that were not applied are gone with it.",
        another_log=True,
    ),
    "another_log": Kind(
        "the last applied record is another one in the log: the topic was made anew, or cut off and written on",
        "if the topic was made anew on purpose, accept-gap",
        GoOn.LOG_START,
        "If these are the wrong brokers or the wrong topic, correct the address and `wex incidents resume"
        " {partition}`. If the topic was made anew, `wex incidents accept-gap {partition}` reads it from its start;"
        " what the table has already stays. Records of the old log that were not applied are gone with it.",
        another_log=True,
    ),
    "unreadable": Kind(
        "the broker does not hand the log out, or in a form that is not known here",
        "mend the rights or the broker, then resume",
        GoOn.NAMED,
        "The detail has the broker's word. When its cause is mended (mostly a right that is missing), `wex incidents"
        " resume {partition}` reads on at the same offset. If the records cannot be had at all, `wex incidents"
        " accept-gap {partition} --to OFFSET` goes on after them.",
    ),
    "corrupt": Kind(
        "the checksum of a record batch does not hold, even when it is read again",
        "let the broker restore its log, then resume",
        GoOn.NAMED,
        "The broker's disk is damaged, or what lies between. If another replica is whole, make it the leader, and"
        " `wex incidents resume {partition}` reads on at the same offset. If the batch is lost, `wex incidents"
        " accept-gap {partition} --to OFFSET` goes on after it (kafka-dump-log names its last offset).",
    ),
    "log_start": Kind(
        "the first start met a log that no longer had its beginning",
        "nothing is halted; accept-gap closes it",
        GoOn.SAME,
        "Nothing is halted, and nothing that was applied is lost: what retention had taken before the first start was"
        " never seen here. If that history matters, publish it once more. `wex incidents accept-gap {partition}`"
        " closes the incident and moves nothing.",
    ),
}

UNKNOWN = Kind(
    "a kind that this version does not know",
    "see the detail; then resume, or accept-gap --to OFFSET",
    GoOn.NAMED,
    "Another version of the service recorded it; its detail says what was found. `wex incidents resume {partition}`"
    " reads on at the same offset, `wex incidents accept-gap {partition} --to OFFSET` at another one.",
)


def kind(name: str) -> Kind:
    """Return what is known about a kind of incident."""
    return KINDS.get(name, UNKNOWN)
