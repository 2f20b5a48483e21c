"""The metrics, as data: what each means, and what an operator does about it. `docs/metrics.md` is made from this.

A name once released keeps its meaning: dashboards and alerts are built on it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from consumer.incident_kinds import KINDS

MetricName = Literal[
    "wex_records_total",
    "wex_merges_total",
    "wex_dead_letters_total",
    "wex_withheld_total",
    "wex_lag_records",
    "wex_lag_seconds",
    "wex_oldest_unapplied_seconds",
    "wex_lag_age_seconds",
    "wex_latency_seconds",
    "wex_batch_records",
    "wex_prepare_seconds",
    "wex_apply_seconds",
    "wex_statistics_merge_seconds",
    "wex_ready",
    "wex_loop_silent_seconds",
    "wex_partitions",
    "wex_partition_halted",
    "wex_incidents_total",
    "wex_rebalances_total",
    "wex_fenced_total",
    "wex_rejoins_total",
    "wex_two_owners_total",
    "wex_unstable_group_total",
    "wex_database_errors_total",
    "wex_kafka_errors_total",
    "wex_build_info",
]
MetricKind = Literal["counter", "gauge", "histogram"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # a statement ends after 8
LATENCIES = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400)  # from normal to a lost day
RECORDS = (1, 3, 10, 30, 100, 300, 1_000, 2_000)  # a fetch brings no more


class Metric(NamedTuple):
    """One metric.

    Attributes:
        meaning: what it counts or measures.
        to_do: what an operator does when it is not as it should be.
        labels: the names of its labels.
        values: the values of its labels that are there from the start, so that an alert sees the first increase.
        buckets: the upper bounds of a histogram.
    """

    kind: MetricKind
    meaning: str
    to_do: str
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ()
    buckets: tuple[float, ...] = ()


METRICS: dict[MetricName, Metric] = {
    "wex_records_total": Metric(
        "counter",
        "records that positions moved over, by outcome: `applied`, `withheld` (applied without a payload that"
        " PostgreSQL cannot hold), `tombstone` and `unknown_verb` (skipped), `dead_letter`; and by verb, where one is"
        " known",
        "A rate of 0 beside lag: see `wex_ready` and the log. Many `unknown_verb`: publishers are newer than"
        " this service.",
        ("outcome", "verb"),
        (("tombstone", ""), ("unknown_verb", ""), ("dead_letter", "")),
    ),
    "wex_merges_total": Metric(
        "counter",
        "executions merged into the table, by outcome: `changed` a row, changed it and left it `contested` (two reports"
        " of the same authority differ about its end), or left it `unchanged`",
        "`unchanged` is what redelivered and replayed events give. `contested` growing: two publishers report the same"
        " runs; `SELECT … WHERE contested` names them.",
        ("outcome",),
        (("changed",), ("contested",), ("unchanged",)),
    ),
    "wex_dead_letters_total": Metric(
        "counter",
        "records set aside as dead letters, by reason",
        "`wex dead-letter list --reason …` and `show` say what is wrong with them; mend their publisher.",
        ("reason",),
    ),
    "wex_withheld_total": Metric(
        "counter",
        "payload fields withheld from rows because PostgreSQL cannot hold them, by code",
        "Mend the publisher; the bytes are in `withheld_payloads`.",
        ("code",),
    ),
    "wex_lag_records": Metric(
        "gauge",
        "records of a partition that are in the log and not in the table",
        "Growing while `wex_ready` is 1: more consumers, up to one per partition, or a faster database. On a halted"
        " partition: `wex incidents list`.",
        ("topic", "partition"),
    ),
    "wex_lag_seconds": Metric(
        "gauge",
        "how long the oldest record of a partition that is not in the table has been in the log; 0 without lag. An"
        " upper bound, a few seconds above the truth at most; after a start it counts from what was seen since",
        "As for `wex_lag_records`.",
        ("topic", "partition"),
    ),
    "wex_oldest_unapplied_seconds": Metric(
        "gauge",
        "the greatest `wex_lag_seconds` of this consumer's partitions: how old readers' view may be",
        "As for `wex_lag_records`.",
    ),
    "wex_lag_age_seconds": Metric(
        "gauge",
        "how long ago the ends of the logs, from which lag is counted, were read",
        "Above a minute: Kafka does not answer, and lag is not known. See the log for `log_ends_unknown`.",
    ),
    "wex_latency_seconds": Metric(
        "histogram",
        "from a record's timestamp to the commit that made it visible, for the oldest record of each partition in each"
        " batch",
        "High without lag: the publisher's clock, or its batching. With lag: as for `wex_lag_records`.",
        buckets=LATENCIES,
    ),
    "wex_batch_records": Metric(
        "histogram",
        "records in a transaction",
        "Nothing. Large batches under lag and small ones without it are as it should be.",
        buckets=RECORDS,
    ),
    "wex_prepare_seconds": Metric(
        "histogram",
        "time to decode and fold a batch, while PostgreSQL works on the one before",
        "More than `wex_apply_seconds`: the processor is the limit; add consumers.",
        buckets=SECONDS,
    ),
    "wex_apply_seconds": Metric(
        "histogram",
        "time of a transaction, its commit included",
        "Growing: look at the database (locks, disk, autovacuum). At 8 s statements are ended.",
        buckets=SECONDS,
    ),
    "wex_statistics_merge_seconds": Metric(
        "histogram",
        "time to merge what was counted into the statistics, beside the applying; one consumer of all does it",
        "Growing: look at the database. None for minutes while events come: the log says `statistics_not_merged`.",
        buckets=SECONDS,
    ),
    "wex_ready": Metric(
        "gauge",
        "1 while everything assigned is claimed or halted and the database answers, else 0; what `/readyz` says",
        "0 for minutes: the log says which server does not answer.",
    ),
    "wex_loop_silent_seconds": Metric(
        "gauge",
        "how long the event loop has not turned; it does so every second",
        "Above 10 `/healthz` answers 503, above 45 the process ends with exit code 7. Report what it was doing.",
    ),
    "wex_partitions": Metric(
        "gauge",
        "partitions of this consumer, by state: `claimed` or `halted`",
        "0 on all consumers of a group: is the topic's name right? 0 on one: there are more consumers than partitions.",
        ("state",),
    ),
    "wex_partition_halted": Metric(
        "gauge",
        "1 while an incident holds a partition of this consumer, else 0",
        "`wex incidents list` says why and what to do; the other partitions go on.",
        ("topic", "partition"),
    ),
    "wex_incidents_total": Metric(
        "counter",
        "incidents, by kind; each but `log_start` halts its partition",
        "`wex incidents list` says what to do.",
        ("kind",),
        tuple((kind,) for kind in KINDS),
    ),
    "wex_rebalances_total": Metric(
        "counter",
        "assignments by Kafka",
        "More than a few in an hour without a deployment: consumers are too slow for their session, or restart.",
    ),
    "wex_fenced_total": Metric(
        "counter",
        "transactions that were rolled back because the claim or the position was not what was believed; nothing was"
        " written",
        "A few around rebalances are as it should be. For ever: see `wex_two_owners_total`.",
    ),
    "wex_rejoins_total": Metric(
        "counter",
        "times that the group was left and joined again, by reason: `fenced` (another consumer holds what Kafka says is"
        " ours), `stalled` (the Kafka client brought nothing although there was more)",
        "`fenced` now and then is a rebalance that was late. `stalled`, often: report it.",
        ("reason",),
        (("fenced",), ("stalled",)),
    ),
    "wex_two_owners_total": Metric(
        "counter",
        "times that another consumer held what Kafka said was ours for the third time within five minutes",
        "Any: two consumers have the same group instance id, or two groups in Kafka the same consumer group here"
        " (another cluster on the same database), or somebody writes to `positions`. `owner` there names the other.",
    ),
    "wex_unstable_group_total": Metric(
        "counter",
        "times that the partitions were dealt anew for the tenth time within a minute",
        "Any: find the consumer that comes and goes, or two with the same group instance id.",
    ),
    "wex_database_errors_total": Metric(
        "counter",
        "failures of PostgreSQL, by what is done about them: `retry` (an outage), `bisect` (one record's content is"
        " refused), `stop` (schema, right or address: retried too, but it will not help)",
        "`retry`: is the database up, its disk full? `stop`: the log says what is missing; `wex migrate`, or grant it.",
        ("action",),
        (("retry",), ("bisect",), ("stop",)),
    ),
    "wex_kafka_errors_total": Metric(
        "counter",
        "failures of Kafka's client, by call: `fetch` (records), `logs` (starts and ends)",
        "For minutes: are the brokers up, the rights there? Now and then: a broker restarted.",
        ("call",),
        (("fetch",), ("logs",)),
    ),
    "wex_build_info": Metric(
        "gauge",
        "1, with the version of the service and of its fold",
        "Two fold versions in one group: the older consumers stop by themselves once the table is the newer one's.",
        ("version", "fold_version"),
    ),
}

# What prometheus-client adds by itself, where the system tells (Linux).
PROCESS_METRICS = {
    "process_resident_memory_bytes": "memory of the process; bounded, whatever comes in",
    "process_virtual_memory_bytes": "address space of the process",
    "process_cpu_seconds_total": "time of the processor",
    "process_open_fds": "open file descriptors",
    "process_max_fds": "how many there may be",
    "process_start_time_seconds": "when the process started, seconds since 1970",
}
