"""The events of the log, as data: what each means, and what an operator does about it; and the one way to log them.

Every line that the service logs names its event, so that a machine can find it whatever its words become. No payloads,
no secrets: coordinates, reasons and what the servers said.
"""

from __future__ import annotations

import logging
from typing import Literal, NamedTuple

LogEvent = Literal[
    "listening",
    "joined",
    "assigned",
    "claimed",
    "progress",
    "caught_up",
    "stopping",
    "drain_timed_out",
    "dead_letter",
    "dead_letter_limit",
    "chunk_refused",
    "fetch_failed",
    "read_slowly",
    "slow_read_failed",
    "log_ends_unknown",
    "fenced",
    "rival",
    "two_owners",
    "unstable_group",
    "stalled",
    "client_stalled",
    "database_failed",
    "statistics_not_merged",
    "database_misconfigured",
    "halted",
    "log_start",
    "client_stop_failed",
    "not_assigned",
    "offsets_not_mirrored",
    "topic_compacted",
    "publishing_rests",
    "payload_undecodable",
    "run_refused",
]

LOGGER = logging.getLogger("consumer")


class Meaning(NamedTuple):
    """One event: how loud it is, what it means, what an operator does about it."""

    level: int
    meaning: str
    to_do: str = "Nothing."


LOG_EVENTS: dict[LogEvent, Meaning] = {
    "listening": Meaning(logging.INFO, "where health and metrics are served", "Point probes and Prometheus there."),
    "joined": Meaning(logging.INFO, "the consumer is a member of its group"),
    "assigned": Meaning(logging.INFO, "what Kafka gave this member; everything given before is taken back"),
    "claimed": Meaning(logging.INFO, "partitions are claimed in PostgreSQL and read from these offsets on"),
    "progress": Meaning(logging.INFO, "what was counted since it was last told; the names are those of the metrics"),
    "caught_up": Meaning(logging.INFO, "everything that was in the logs is applied, and `--until-caught-up` ends"),
    "stopping": Meaning(logging.INFO, "a signal came: what was accepted is applied, the claims are released"),
    "drain_timed_out": Meaning(
        logging.WARNING,
        "the process ends although not all that was accepted is applied, or the group is not left: the time is over",
        "Nothing; whoever claims next goes on from the table. Often: a server is slow.",
    ),
    "dead_letter": Meaning(
        logging.WARNING, "a record was set aside", "`wex dead-letter list` and `show`; mend its publisher."
    ),
    "dead_letter_limit": Meaning(
        logging.ERROR,
        "too many records would become dead letters; the consumer ends with exit code 6, and applies none of them",
        "Mend the publisher, or the consumer that cannot read it; or raise the limit to set them aside.",
    ),
    "chunk_refused": Meaning(
        logging.WARNING,
        "PostgreSQL refuses the content of one record; it is looked for by halving",
        "See `dead_letter`.",
    ),
    "fetch_failed": Meaning(
        logging.WARNING, "a fetch failed; every partition is sought back", "For minutes: are the brokers up?"
    ),
    "read_slowly": Meaning(
        logging.WARNING, "records were read beside the Kafka client, which fails at one of them", "See `dead_letter`."
    ),
    "slow_read_failed": Meaning(
        logging.WARNING, "that did not work either, for now", "For minutes: are the brokers up?"
    ),
    "log_ends_unknown": Meaning(
        logging.WARNING, "starts and ends of the logs cannot be read", "For minutes: are the brokers up?"
    ),
    "fenced": Meaning(
        logging.WARNING,
        "the claim or the position was not what was believed; nothing was written, the row is believed",
        "Nothing around rebalances. For ever: see `two_owners`.",
    ),
    "rival": Meaning(
        logging.WARNING,
        "another consumer holds what Kafka says is ours; the group is left and joined again",
        "Nothing if it happens once. Again and again: see `two_owners`.",
    ),
    "two_owners": Meaning(
        logging.ERROR,
        "that has happened three times within five minutes",
        "Find the other one: the column `owner` of `positions` names it.",
    ),
    "unstable_group": Meaning(
        logging.ERROR,
        "the partitions were dealt anew ten times within a minute",
        "Find the consumer that comes and goes, or two with the same group instance id.",
    ),
    "stalled": Meaning(
        logging.WARNING, "nothing comes of a partition though its log goes on; it is read beside the Kafka client"
    ),
    "client_stalled": Meaning(
        logging.ERROR, "the Kafka client brings nothing at all; a new one takes its place", "Often: report it."
    ),
    "database_failed": Meaning(
        logging.WARNING, "PostgreSQL or Kafka does not answer; the same is tried again", "Is it up, is its disk full?"
    ),
    "statistics_not_merged": Meaning(
        logging.WARNING,
        "what was counted is not merged into the statistics, which stay right and become slower to read",
        "For minutes: does PostgreSQL answer, and has the consumer's role its rights?",
    ),
    "database_misconfigured": Meaning(
        logging.ERROR,
        "a table, a right or the address is wrong; it is tried again",
        "`wex migrate`, or grant the right.",
    ),
    "halted": Meaning(
        logging.ERROR, "a partition is halted by an incident; the others go on", "`wex incidents list` says what to do."
    ),
    "log_start": Meaning(
        logging.WARNING,
        "a first start met a log that no longer had its beginning; an incident says so, nothing is halted",
        "If that history matters, publish it again; `wex incidents accept-gap` closes the incident.",
    ),
    "client_stop_failed": Meaning(logging.WARNING, "the Kafka client did not stop cleanly and is left behind"),
    "not_assigned": Meaning(logging.DEBUG, "Kafka took a partition back before a command reached the client"),
    "offsets_not_mirrored": Meaning(logging.DEBUG, "Kafka was not told how far the table is; lag tools show it later"),
    # These are logged in `events`, which does not know this table.
    "topic_compacted": Meaning(
        logging.WARNING, "a topic is compacted and will lose events", "Set cleanup.policy=delete and a long retention."
    ),
    "publishing_rests": Meaning(
        logging.WARNING,
        "Kafka does not answer a Temporal worker; its workflows go on without events",
        "`wex temporal sync` tells them later.",
    ),
    "payload_undecodable": Meaning(
        logging.WARNING,
        "the payload codec of `wex temporal sync` fails at a payload; a marker stands for it",
        "Mend the codec.",
    ),
    "run_refused": Meaning(
        logging.WARNING, "`wex temporal sync` met a run that no event can describe", "The message names the field."
    ),
}


def tell(event: LogEvent, message: str, *values: object, **fields: object) -> None:
    """Log an event: a message for people, with its values, and fields for machines."""
    LOGGER.log(LOG_EVENTS[event].level, message, *values, extra={"event": event, "fields": fields}, stacklevel=2)
