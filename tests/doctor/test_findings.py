"""What facts mean: each thing that is wrong is found, and what is right raises no alarm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from consumer.doctor import findings
from consumer.doctor.cluster import ClusterFacts, Sample, TopicFacts
from consumer.doctor.findings import Finding
from events.fold import FOLD_VERSION
from events.position import TopicPartition
from store.batch import LogRange
from store.diagnosis import DatabaseFacts, PositionFacts

ID, OTHER_ID = UUID(int=1), UUID(int=2)
T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)
NOW_MS = 1_700_000_000_000.0
KEEPS_ALL = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
TOPIC = TopicFacts(
    2,
    3,
    0,
    KEEPS_ALL,
    readable=True,
    logs={T0: LogRange(0, 5, ID), T1: LogRange(0, 7)},
    samples={T0: Sample(int(NOW_MS), key_belongs=True)},
)
DATABASE = DatabaseFacts(
    version="18.1",
    version_number=180_001,
    in_recovery=False,
    encrypted=True,
    certificate_days=90.0,
    local=False,
    role="wex",
    skew_seconds=0.3,
    doubt_seconds=0.01,
    pending=(),
    positions={T0: PositionFacts(5, False, "a", FOLD_VERSION), T1: PositionFacts(7, False, "b", FOLD_VERSION)},
)


def not_ok(found: Iterable[Finding]) -> dict[str, str]:
    """The levels of what is not right, by check; each has a remedy."""
    wrong = [each for each in found if each.level != "ok"]
    assert all(each.remedy for each in wrong)
    return {each.check: each.level for each in wrong}


def of_topic(topic: TopicFacts | None, servers: str = "localhost:9092", **more: Any) -> dict[str, str]:
    """What is wrong with a cluster that has this topic."""
    facts = ClusterFacts(1, {"t": topic}, **more)
    return not_ok(findings.of_kafka(facts, "g", servers, NOW_MS))


def of_database(**changed: Any) -> dict[str, str]:
    """What is wrong with a database that differs so from a good one."""
    return not_ok(findings.of_database(replace(DATABASE, **changed)))


def of_positions(topic: TopicFacts | None = TOPIC, **changed: Any) -> dict[str, str]:
    """What is wrong with positions that differ so from good ones."""
    cluster = ClusterFacts(1, {"t": topic})
    return not_ok(findings.of_positions(replace(DATABASE, **changed), cluster, "g"))


def test_what_is_right_raises_no_alarm() -> None:
    """Good facts give findings that are all right."""
    assert of_topic(TOPIC) == of_database() == of_positions() == {}


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"readable": False}, {"topic": "failed"}),
        ({"under_replicated": 1}, {"topic": "warning"}),
        ({"configs": KEEPS_ALL | {"cleanup.policy": "delete,compact"}}, {"compaction": "failed"}),
        ({"configs": KEEPS_ALL | {"retention.ms": "604800000"}}, {"retention": "warning"}),
        ({"configs": KEEPS_ALL | {"retention.ms": "604799999"}}, {"retention": "failed"}),
        ({"configs": KEEPS_ALL | {"retention.bytes": "1000000"}}, {"retention": "warning"}),
        ({"configs": {}}, {"retention": "warning"}),
        ({"samples": {T0: Sample(int(NOW_MS), key_belongs=False)}}, {"partitioning": "warning"}),
        ({"samples": {T0: Sample(int(NOW_MS), key_belongs=None)}}, {"partitioning": "warning"}),
        ({"samples": {T0: Sample(int(NOW_MS) + 2_001, key_belongs=True)}}, {"clock of kafka": "warning"}),
        ({"samples": {T0: Sample(int(NOW_MS) + 2_000, key_belongs=True)}}, {}),
        ({"samples": {}}, {}),
    ],
)
def test_a_topic_that_is_not_right_is_found(changed: dict[str, Any], wrong: dict[str, str]) -> None:
    """Each thing that can be wrong with a topic leads to its own finding and to no other."""
    assert of_topic(replace(TOPIC, **changed)) == wrong


def test_a_missing_topic_a_forbidden_group_and_far_brokers_are_found() -> None:
    """What is not there or not allowed fails; brokers elsewhere without TLS are a warning."""
    assert of_topic(None) == {"topic": "failed"}
    assert of_topic(TOPIC, group_lacks="READ") == {"kafka group": "failed"}
    assert of_topic(TOPIC, "localhost:9092,broker.example:9092") == {"kafka tls": "warning"}
    assert of_topic(TOPIC, "[::1]:9092,127.0.0.1:9093") == {}


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"version_number": 149_999}, {"postgresql version": "failed"}),
        ({"in_recovery": True}, {"postgresql role": "failed"}),
        ({"encrypted": False, "certificate_days": None}, {"postgresql tls": "warning"}),
        ({"encrypted": False, "certificate_days": None, "local": True}, {}),
        ({"certificate_days": None, "sslmode": "prefer"}, {"postgresql tls": "warning"}),
        ({"certificate_days": None, "sslmode": "prefer", "local": True}, {}),
        ({"certificate_days": None, "sslmode": "require", "local": True}, {"postgresql tls": "warning"}),
        ({"certificate_days": 29.9}, {"postgresql certificate": "warning"}),
        ({"certificate_days": 30.0}, {}),
        ({"skew_seconds": -2.5}, {"clock of postgresql": "warning"}),
        ({"skew_seconds": 2.5, "doubt_seconds": 0.6}, {}),
        ({"pending": ("0001_initial",)}, {"migrations": "failed"}),
        ({"missing_rights": (("users", "insert"), ("users", "select"))}, {"rights": "failed"}),
    ],
)
def test_a_database_that_is_not_right_is_found(changed: dict[str, Any], wrong: dict[str, str]) -> None:
    """Each thing that can be wrong with a database leads to its own finding and to no other."""
    assert of_database(**changed) == wrong


def test_the_remedy_of_missing_rights_is_the_grant() -> None:
    """What to type stands in the finding, a statement for each relation."""
    lacking = (("positions", "update"), ("users", "insert"), ("users", "select"))
    [rights] = [f for f in findings.of_database(replace(DATABASE, missing_rights=lacking)) if f.check == "rights"]
    assert rights.remedy == "grant update on positions to wex; grant insert, select on users to wex;"


@pytest.mark.parametrize(
    ("position", "wrong"),
    [
        (PositionFacts(5, True, "a", FOLD_VERSION), {"halted": "failed"}),
        (PositionFacts(5, False, "a", FOLD_VERSION + 1), {"fold version": "failed"}),
        (PositionFacts(6, False, "a", FOLD_VERSION), {"log": "failed"}),
        (PositionFacts(5, False, "a", FOLD_VERSION, OTHER_ID), {"log": "failed"}),
        (PositionFacts(5, True, "a", FOLD_VERSION, OTHER_ID), {"halted": "failed"}),
        (PositionFacts(5, False, "a", FOLD_VERSION, ID), {}),
        (PositionFacts(3, False, None, FOLD_VERSION), {"consumers": "warning"}),
        (PositionFacts(3, False, "a", FOLD_VERSION), {}),
        (PositionFacts(5, False, None, FOLD_VERSION), {}),
    ],
)
def test_a_position_that_is_not_right_is_found(position: PositionFacts, wrong: dict[str, str]) -> None:
    """Halts, other versions, another topic of the name, and lag that nobody works on are found."""
    assert of_positions(positions=(DATABASE.positions or {}) | {T0: position}) == wrong


def test_what_is_open_is_found_and_kafka_is_not_needed_for_that() -> None:
    """Open incidents and dead letters are warnings; without Kafka the rest is still said, without rights nothing."""
    assert of_positions(open_incidents=1, open_dead_letters=2) == {"incidents": "warning", "dead letters": "warning"}
    assert of_positions(None, open_incidents=1) == {"incidents": "warning"}
    assert not_ok(findings.of_positions(replace(DATABASE, open_dead_letters=1), None, "g")) == {
        "dead letters": "warning"
    }
    assert list(findings.of_positions(replace(DATABASE, positions=None), None, "g")) == []
    assert of_positions(positions={}) == {"consumers": "warning"}
