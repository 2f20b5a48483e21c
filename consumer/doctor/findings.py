"""Findings: what the facts about Kafka, PostgreSQL and this machine mean, each with its remedy. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from consumer.doctor.cluster import ClusterFacts, TopicFacts
from consumer.kafka_address import Kafka, KafkaAddress, address
from events.fold import FOLD_VERSION
from events.position import TopicPartition
from events.transport import is_local
from store.batch import LogRange
from store.diagnosis import DatabaseFacts, PositionFacts

Level = Literal["ok", "warning", "failed"]

POSTGRESQL_MIN = 150_000  # 15, the oldest that is tested
SKEW_SECONDS_MAX = 2.0  # beyond it lag and latency in seconds are not to be believed; rows never depend on it
DAYS = 86_400_000
RETENTION_DAYS_MIN = 7
CERTIFICATE_DAYS_MIN = 30  # a month is time enough for those who renew by hand


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at; stable, so that programs can go by it.
        level: `failed` stands in the way, a `warning` will one day.
        found: what was found.
        remedy: what to do; empty where nothing is.
    """

    check: str
    level: Level
    found: str
    remedy: str = ""


def of_kafka(facts: ClusterFacts, group: str, kafka: Kafka, now_ms: float) -> Iterator[Finding]:
    """Say what is wrong with the brokers and the topics."""
    asked = address(kafka)
    yield Finding("kafka", "ok", f"{facts.brokers} broker{'' if facts.brokers == 1 else 's'} at {asked}")
    yield _kafka_tls(asked)
    for broker, days in facts.certificate_days.items():
        yield _certificate("kafka certificate", broker, days)
    if facts.group_lacks:
        remedy = f"Grant it: {_grant(asked, 'group', group)}"
        yield Finding("kafka group", "failed", _lacking(asked, facts.group_lacks, f"group {group}"), remedy)
    else:
        yield Finding("kafka group", "ok", f"group {group} may be used")
    for name, topic in facts.topics.items():
        if topic is not None and topic.readable:
            yield from _of_topic(name, topic)
            yield from _of_samples(name, topic, now_ms)
        elif topic is not None or name in facts.hidden:
            found = _lacking(asked, "DESCRIBE" if topic is None else "READ", f"topic {name}")
            yield Finding("topic", "failed", found, f"Grant it: {_grant(asked, 'topic', name)}")
        else:
            yield Finding("topic", "failed", f"{name} is not there", "`wex consume` makes it, or correct WEX_TOPICS.")


def of_insecure(*, insecure: bool) -> Iterator[Finding]:
    """Say that connections may lose their encryption."""
    if insecure:
        remedy = "Leave it out; then such a connection is refused instead of made."
        yield Finding(
            "insecure", "warning", "plaintext to other machines is allowed (--insecure, WEX_INSECURE)", remedy
        )


def _user(kafka: KafkaAddress) -> str:
    return (kafka.security.protocol.startswith("SASL_") and kafka.security.sasl_username) or ""


def _lacking(kafka: KafkaAddress, right: str, what: str) -> str:
    return f"{_user(kafka) or 'this client'} lacks {right} on {what}"


def _grant(kafka: KafkaAddress, kind: str, name: str) -> str:
    """Return the command of Kafka that grants what a consumer needs: READ, which includes DESCRIBE."""
    principal = f"User:{_user(kafka) or '…'}"
    return (
        f"`kafka-acls --bootstrap-server {kafka} --add --allow-principal {principal} --operation Read --{kind} {name}`"
    )


def _kafka_tls(kafka: KafkaAddress) -> Finding:
    protocol = kafka.security.protocol
    if protocol.endswith("SSL"):
        return Finding("kafka tls", "ok", f"the connections are encrypted, the brokers verified ({protocol})")
    hosts = [server.strip().rpartition(":")[0] for server in kafka.servers.split(",")]
    if all(is_local(host) for host in hosts):
        return Finding("kafka tls", "ok", "the brokers are on this machine")
    remedy = "Set WEX_KAFKA_SECURITY_PROTOCOL (docs/security.md), or keep the network between them private."
    return Finding("kafka tls", "warning", "the brokers are spoken to without TLS", remedy)


def _certificate(check: str, server: str, days: float) -> Finding:
    if days >= CERTIFICATE_DAYS_MIN:
        return Finding(check, "ok", f"the certificate of {server} holds for {days:.0f} days")
    found = f"the certificate of {server} expires in {days:.1f} days"
    return Finding(check, "warning", found, "Renew it, and have the server take the new one.")


def _of_topic(name: str, topic: TopicFacts) -> Iterator[Finding]:
    partitions = f"{topic.partitions} partition{'' if topic.partitions == 1 else 's'}"
    if topic.under_replicated:
        found = f"{name}: replicas of {topic.under_replicated} of {partitions} are behind"
        yield Finding("topic", "warning", found, "Look at the brokers.")
    else:
        replicas = "replica" if topic.replicas == 1 else "replicas"
        yield Finding("topic", "ok", f"{name}: {partitions}, {topic.replicas} {replicas}")
    if "compact" in topic.configs.get("cleanup.policy", ""):
        remedy = "Set cleanup.policy=delete: compaction keeps one event of each execution."
        yield Finding("compaction", "failed", f"{name} is compacted and loses events", remedy)
    else:
        yield Finding("compaction", "ok", f"{name} is not compacted")
    yield _retention(name, topic)


def _retention(name: str, topic: TopicFacts) -> Finding:
    time, size = topic.configs.get("retention.ms"), topic.configs.get("retention.bytes")
    if time is None or size is None:
        return Finding(
            "retention", "warning", f"the settings of {name} may not be read", "Grant DESCRIBE_CONFIGS on it."
        )
    if int(time) == int(size) == -1:
        return Finding("retention", "ok", f"{name} keeps everything")
    limits = [f"{int(time) / DAYS:g} days"] if int(time) != -1 else []
    limits += [f"{int(size):,} bytes per partition"] if int(size) != -1 else []
    found = f"{name} keeps {' or '.join(limits)} only: what is gone cannot be replayed"
    remedy = "Set retention.ms=-1 and retention.bytes=-1, or run `wex archive` more often than events go."
    short = int(time) != -1 and int(time) < RETENTION_DAYS_MIN * DAYS
    return Finding("retention", "failed" if short else "warning", found, remedy)


def _of_samples(name: str, topic: TopicFacts, now_ms: float) -> Iterator[Finding]:
    strays = [partition for partition, sample in topic.samples.items() if sample.key_belongs is False]
    keyless = [partition for partition, sample in topic.samples.items() if sample.key_belongs is None]
    if strays or keyless:
        found = (
            f"{name}: {len(strays)} of {len(topic.samples)} last records lie where murmur2 of their key does not put"
        )
        found += f" them, {len(keyless)} have no key"
        remedy = (
            "Rows are right all the same; publishers with the key of the execution and murmur2 spare the database work."
        )
        yield Finding("partitioning", "warning", found, remedy)
    elif topic.samples:
        yield Finding("partitioning", "ok", f"{name}: the last records lie where murmur2 of their keys puts them")
    ahead = max((sample.timestamp_ms - now_ms for sample in topic.samples.values()), default=0) / 1000
    if ahead > SKEW_SECONDS_MAX:
        found = f"{name}: the newest record is {ahead:.1f} s ahead of this machine's clock"
        yield Finding(
            "clock of kafka", "warning", found, "Synchronise the clocks of publishers, brokers and consumers."
        )
    elif topic.samples:
        yield Finding("clock of kafka", "ok", f"{name}: no record is from the future")


def of_database(facts: DatabaseFacts) -> Iterator[Finding]:
    """Say what is wrong with the database."""
    yield Finding("postgresql", "ok", f"PostgreSQL {facts.version}, as {facts.role}")
    if facts.version_number < POSTGRESQL_MIN:
        yield Finding("postgresql version", "failed", f"{facts.version} is older than 15", "Upgrade the server.")
    if facts.in_recovery:
        remedy = "Name the primary in WEX_DATABASE_URL; a replica is for readers only."
        yield Finding("postgresql role", "failed", "the server is a replica and accepts no writes", remedy)
    yield _encryption(facts)
    if facts.certificate_days is not None:
        yield _certificate("postgresql certificate", "the server", facts.certificate_days)
    skew, doubt = facts.skew_seconds, facts.doubt_seconds
    found = f"the database's clock is {skew:+.2f} s from this machine's (give or take {doubt:.2f} s)"
    if abs(skew) > SKEW_SECONDS_MAX + doubt:
        yield Finding("clock of postgresql", "warning", found, "Synchronise the clocks.")
    else:
        yield Finding("clock of postgresql", "ok", found)
    if facts.pending:
        yield Finding("migrations", "failed", f"missing: {', '.join(facts.pending)}", "Run `wex migrate`.")
        return
    yield Finding("migrations", "ok", "the schema is up to date")
    yield _rights(facts)


def _encryption(facts: DatabaseFacts) -> Finding:
    if facts.certificate_days is not None:
        return Finding("postgresql tls", "ok", "the connection is encrypted, the server verified")
    if facts.local and facts.sslmode != "require":
        return Finding("postgresql tls", "ok", "the server is on this machine")
    found = "the connection is not encrypted"
    if facts.encrypted:
        found = f"the connection is encrypted, but sslmode={facts.sslmode} does not verify with whom"
    remedy = "Leave --insecure out, and sslmode, or say sslmode=verify-full; sslrootcert names the authority."
    return Finding("postgresql tls", "warning", found, remedy)


def _rights(facts: DatabaseFacts) -> Finding:
    if not facts.missing_rights:
        return Finding("rights", "ok", f"{facts.role} may do what a consumer does")
    lacking: dict[str, list[str]] = {}
    for relation, privilege in facts.missing_rights:
        lacking.setdefault(relation, []).append(privilege)
    remedy = " ".join(f"grant {', '.join(each)} on {relation} to {facts.role};" for relation, each in lacking.items())
    return Finding("rights", "failed", f"{facts.role} lacks rights that a consumer needs", remedy)


def of_positions(database: DatabaseFacts, cluster: ClusterFacts | None, group: str) -> Iterator[Finding]:
    """Say how far the table is; `cluster` is None where Kafka does not answer."""
    if database.positions is None:
        return
    others = {each.fold_version for each in database.positions.values()} - {FOLD_VERSION}
    if others:
        found = f"the table was folded by version {', '.join(map(str, sorted(others)))}, this is {FOLD_VERSION}"
        yield Finding("fold version", "failed", found, "Run the version that made the table.")
    logs = {
        name: log for topic in (cluster.topics.values() if cluster else ()) if topic for name, log in topic.logs.items()
    }
    yield from _of_halts(database.positions)
    yield from _of_lag(database.positions, logs, group)
    if database.open_incidents:
        found = f"{database.open_incidents} open"
        yield Finding("incidents", "warning", found, "`wex incidents list` says what to do.")
    else:
        yield Finding("incidents", "ok", "none is open")
    if database.open_dead_letters:
        remedy = "`wex dead-letter list` names them; mend their publishers, then redrive or purge."
        yield Finding("dead letters", "warning", f"{database.open_dead_letters} open", remedy)
    else:
        yield Finding("dead letters", "ok", "none is open")


def _of_halts(positions: dict[TopicPartition, PositionFacts]) -> Iterator[Finding]:
    for name, position in positions.items():
        if position.halted:
            found = f"{name} is halted at {position.next_offset}"
            yield Finding("halted", "failed", found, "`wex incidents list` says why and what to do.")


def _of_lag(
    positions: dict[TopicPartition, PositionFacts], logs: dict[TopicPartition, LogRange], group: str
) -> Iterator[Finding]:
    behind = 0
    for name, log in logs.items():
        position = positions.get(name)
        lag = log.end - (position.next_offset if position else log.start)
        behind += max(0, lag)
        if position and not position.halted and (wrong := _another_log(position, log)):
            remedy = "The next consumer halts it with an incident that says what to do."
            yield Finding("log", "failed", f"{name}: {wrong}", remedy)
        elif lag > 0 and (position is None or position.owner is None):
            found = f"{name}: {lag} records, and no consumer holds it"
            yield Finding("consumers", "warning", found, f"Start `wex consume` with group {group}.")
    if logs:
        yield Finding("lag", "ok", f"{behind} record{'' if behind == 1 else 's'} of {len(logs)} partitions not applied")


def _another_log(position: PositionFacts, log: LogRange) -> str:
    """Return why a log is not the one that was read; empty where it may be."""
    if None not in (position.topic_id, log.topic_id) and position.topic_id != log.topic_id:
        return "the topic was made anew, Kafka gives its name another id"
    if not log.start <= position.next_offset <= log.end:
        return f"the position {position.next_offset} is not in the log, {log.start} to {log.end}"
    return ""
