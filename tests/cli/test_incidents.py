"""`wex incidents`, as operators meet it."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable
from uuid import UUID

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition as KafkaPartition

from consumer.incident_kinds import KINDS, UNKNOWN, GoOn, kind
from events.position import TopicPartition
from store import PostgresStore
from store.batch import Batch, Incident, LogRange, Move
from tests.cli.conftest import Wex
from tests.consuming import fetch, produce, record
from tests.docs.console import commands, steady
from tests.docs.pages import ROOT
from tests.stack import Servers

Halt = Callable[..., str]
NOWHERE = ("--kafka-bootstrap-servers", "127.0.0.1:1")


@pytest.fixture
def halt(database_url: str, topic: str) -> Halt:
    """Halt a partition at 10 with an incident of a kind, and return its name."""

    async def halt_position(kind_: str, to: int | None, group: str, *, halted: bool) -> None:
        store = PostgresStore(database_url)
        partition = TopicPartition(topic, 0)
        incident = Incident(kind_, partition, 10, to, "why [not]")
        await store.claim(group, {partition: LogRange(0, 20)}, UUID(int=1), "tests")
        await store.apply(Batch(group, {partition: Move(UUID(int=1), 0, 10)}))
        if halted:
            await store.halt(group, UUID(int=1), 10, incident)
        else:
            await record(database_url, group, incident)
        await store.close()

    def halt(kind_: str = "gap", to: int | None = 15, *, group: str = f"cli-{topic}", halted: bool = True) -> str:
        asyncio.run(halt_position(kind_, to, group, halted=halted))
        return f"{topic}/0"

    return halt


@pytest.fixture
def log(servers: Servers, topic: str) -> None:
    """A log of 20 records in the partition."""
    asyncio.run(produce(servers.kafka_bootstrap_servers, topic, [b"{}"] * 20, partitions=1))


def position(database_url: str) -> tuple[object, ...]:
    """Offset and state of the one position."""
    [row] = asyncio.run(fetch(database_url, "SELECT next_offset, state, claim_token IS NULL FROM positions"))
    return tuple(row)


def test_incidents_are_listed_with_what_to_do(wex: Wex, halt: Halt) -> None:
    """The list says kind, partition, range, since when, whether it is halted, and one line of remedy."""
    assert wex("incidents", "list").stdout == "there is no open incident\n"
    assert wex("incidents", "list", "--all").stdout == "there are no incidents\n"
    partition = halt()
    heading, line = wex("incidents", "list").stdout.splitlines()
    assert heading.split() == ["ID", "KIND", "PARTITION", "OFFSETS", "SINCE", "STATE", "TO", "DO"]
    cells = re.split(r"\s{2,}", line.strip())
    assert cells[1:4] == ["gap", partition, "10 to 14"]
    assert cells[5:] == ["halted", KINDS["gap"].to_do]
    [item] = wex("incidents", "list", "--json").json["items"]
    assert (item["kind"], item["from_offset"], item["to_offset"], item["detail"]) == ("gap", 10, 15, "why [not]")
    assert (item["state"], item["halted"], item["resolved_at"], item["to_do"]) == (
        "halted",
        True,
        None,
        KINDS["gap"].to_do,
    )


def test_a_list_is_narrowed_by_topic_partition_and_kind(wex: Wex, halt: Halt, topic: str) -> None:
    """Each filter leaves out what does not fit, and an empty list says whether there was a filter."""
    halt()
    halt("corrupt", None, group="other")
    for matching in (("--topic", topic), ("--partition", "0"), ("-n", "2"), ()):
        assert len(wex("incidents", "list", "--json", *matching).json["items"]) == 2
    assert [i["kind"] for i in wex("incidents", "list", "--json", "--kind", "gap").json["items"]] == ["gap"]
    assert [i["kind"] for i in wex("incidents", "list", "--json", "-n", "1").json["items"]] == ["corrupt"]
    for other in (("--topic", "x"), ("--partition", "7"), ("--kind", "x")):
        assert wex("incidents", "list", *other).stdout == "no incident matches\n"


def test_an_incident_is_shown_with_its_remedy_spelled_out(wex: Wex, halt: Halt) -> None:
    """One incident is shown whole, with commands that can be typed, or with what was decided about it."""
    partition = halt("corrupt", None, group="other")
    [item] = wex("incidents", "list", "--json").json["items"]
    shown = wex("incidents", "show", str(item["id"])).stdout
    assert "why [not]" in shown
    assert KINDS["corrupt"].meaning in " ".join(shown.split())
    advice = wex("incidents", "show", str(item["id"]), "--json").json["to_do"]
    assert f"`wex incidents resume {partition} --consumer-group other`" in advice
    assert wex("incidents", "resume", partition, "--consumer-group", "other", "--reason", "new disk").exit_code == 0
    shown = wex("incidents", "show", str(item["id"])).stdout
    assert "new disk" in shown
    assert "resumed" in shown
    assert "to do" not in shown
    assert wex("incidents", "show", "999999").exit_code == 3


def test_resuming_sets_a_partition_live_where_it_was(wex: Wex, halt: Halt, database_url: str) -> None:
    """Resume keeps the offset, takes the claim away, resolves, and refuses what is not halted or not known."""
    partition = halt("unreadable", None)
    said = wex("incidents", "resume", partition, "--actor", "ann")
    assert said.exit_code == 0, said.stderr
    assert f"{partition} is live again at 10; incidents resolved: " in said.stdout
    assert position(database_url) == (10, "live", True)
    refused = wex("incidents", "resume", partition)
    assert (refused.exit_code, refused.stdout) == (8, "")
    assert "is not halted: it is live at 10" in refused.stderr
    unknown = wex("incidents", "resume", partition, "--consumer-group", "nobody")
    assert unknown.exit_code == 3
    assert "has no position in" in unknown.stderr
    assert "not TOPIC/PARTITION" in wex("incidents", "resume", "executions").stderr
    line = wex("incidents", "list", "--all").stdout.splitlines()[1]
    assert line.split()[-2:] == ["resumed", "-"]


@pytest.mark.usefixtures("log")
def test_accepting_says_what_is_lost_and_asks(
    wex: Wex, halt: Halt, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is given up is said before anything happens; without a yes, and with --dry-run, nothing does."""
    partition = halt()
    shown = wex("incidents", "accept-gap", partition, "--to", "15", "--dry-run").stdout
    assert f"{partition} is halted at 10 (gap: {KINDS['gap'].meaning})" in shown
    assert "5 offsets are given up, 10 to 14" in shown
    assert "nothing was changed" in shown
    for answer, code in (("n\n", 1), ("", 1)):
        answered(monkeypatch, answer)
        asked = wex("incidents", "accept-gap", partition, "--to", "15")
        assert (asked.exit_code, "given up" in asked.stdout) == (code, True)
        assert position(database_url) == (10, "halted", False)
    answered(monkeypatch, "y\n")
    assert wex("incidents", "accept-gap", partition, "--to", "15", "--actor", "ann").exit_code == 0
    assert position(database_url) == (15, "live", True)
    [kept] = wex("incidents", "list", "--all", "--json").json["items"]
    assert (kept["resolution"], kept["resolved_by"]) == ("accepted", "ann")
    assert (kept["accepted_from"], kept["accepted_to"]) == (10, 15)
    assert "from 10 to 15" in wex("incidents", "show", str(kept["id"])).stdout


def answered(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let the next question be answered so."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("kind_", "arguments", "to", "said"),
    [
        ("gap", (), 0, "nothing is passed over"),
        ("gap", ("--to", "11"), 11, "1 offset is given up, 10:"),
        ("truncated", (), 0, "what another log held from 10 on is given up"),
        ("another_log", (), 0, "the log that is there now is read from 0"),
        ("another_log", ("--to", "5"), 5, "records of the log that is there now are passed over: 0 to 4"),
        ("corrupt", ("--to", "20"), 20, "10 offsets are given up, 10 to 19"),
        ("corrupt", ("--to", "12", *NOWHERE), 12, "Kafka does not answer"),
        ("another_log", ("--to", "12", *NOWHERE), 12, "passed over: 0 to 11"),
        ("of_the_future", ("--to", "12"), 12, "2 offsets are given up"),
    ],
    ids=str,
)
def test_accepting_goes_on_where_the_kind_leads_to(
    wex: Wex, halt: Halt, database_url: str, kind_: str, arguments: tuple[str, ...], to: int, said: str
) -> None:
    """Without --to the log is read from its start where that helps; with --to from there, with Kafka or without."""
    outcome = wex("incidents", "accept-gap", halt(kind_, None), "--yes", *arguments)
    assert outcome.exit_code == 0, outcome.stderr
    assert said in outcome.stdout
    assert position(database_url) == (to, "live", True)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("kind_", "arguments", "code", "message"),
    [
        ("gap", ("--to", "21"), 8, "goes from 0 to 20 and does not hold 21"),
        ("gap", NOWHERE, 5, "does not answer"),
        ("corrupt", (), 2, "corrupt at 10; the log goes from 0 to 20"),
        ("unreadable", (), 2, "--to OFFSET"),
        ("of_the_future", (), 2, "--to OFFSET"),
        ("log_start", (), 2, "halted by hand at 10"),
        ("gap", ("--consumer-group", "nobody"), 3, "has no position"),
        ("gap", ("--to", "-1"), 2, "--to"),
        ("gap", ("--to", str(2**63)), 2, "--to"),
    ],
    ids=str,
)
def test_what_cannot_be_accepted_is_refused(
    wex: Wex, halt: Halt, database_url: str, kind_: str, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """An offset that is missing, or outside of the log, and a broker that is needed and away, change nothing."""
    outcome = wex("incidents", "accept-gap", halt(kind_, None), "--yes", *arguments)
    assert message in outcome.stderr
    assert (outcome.exit_code, outcome.stdout) == (code, "")
    assert position(database_url) == (10, "halted", False)


def test_a_topic_that_is_gone_is_not_made_by_asking(wex: Wex, halt: Halt) -> None:
    """Accepting the log of a topic that Kafka does not have is refused, twice alike."""
    partition = halt("another_log", None)
    for _ in range(2):
        outcome = wex("incidents", "accept-gap", partition, "--yes")
        assert outcome.exit_code == 3
        assert f"Kafka has no partition {partition}" in outcome.stderr


def test_incidents_that_halt_nothing_are_closed(wex: Wex, halt: Halt, database_url: str) -> None:
    """A first start on a shortened log is closed without moving anything; with --to, or once closed, it is refused."""
    partition = halt("log_start", 15, halted=False)
    assert wex("incidents", "accept-gap", partition, "--to", "3", "--yes").exit_code == 8
    said = wex("incidents", "accept-gap", partition, "--yes", "--json")
    assert (said.json["resolution"], said.json["accepted_from"], len(said.json["incidents"])) == ("noted", None, 1)
    assert "its incidents are closed, and nothing moves" in said.stderr
    assert position(database_url) == (10, "live", False)
    again = wex("incidents", "accept-gap", partition, "--yes")
    assert (again.exit_code, again.stdout) == (8, "")
    assert "has no open incident" in again.stderr


def test_what_changed_while_the_operator_thought_is_not_overwritten(
    wex: Wex, halt: Halt, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition that somebody resumed between the question and the answer stays as that left it."""
    partition = halt()

    def think(*_: object, **__: object) -> bool:
        assert wex("incidents", "resume", partition).exit_code == 0
        return True

    monkeypatch.setattr("click.confirm", think)
    outcome = wex("incidents", "accept-gap", partition, "--to", "12", *NOWHERE)
    assert outcome.exit_code == 8
    assert "is not halted at 10 any more" in outcome.stderr
    assert "Nothing was changed" in outcome.stderr
    assert position(database_url) == (10, "live", True)


@pytest.mark.usefixtures("log")
def test_the_readme_shows_what_is_said(
    wex: Wex, halt: Halt, servers: Servers, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session that the README shows about a gap is what these commands print."""
    asyncio.run(_delete_records(servers.kafka_bootstrap_servers, topic, 15))
    halt()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```text\n(\$ wex incidents list\n.*?)```", readme, re.DOTALL)
    answered(monkeypatch, "y\n")
    for command, shown in commands(block):
        said = wex(*command.replace("workflow-executions", topic).split()[1:]).stdout
        assert steady(said.replace(topic, "workflow-executions")) == steady(shown.replace("[y/N]: y\n", "[y/N]: "))


async def _delete_records(bootstrap: str, topic: str, before: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_records({KafkaPartition(topic, 0): RecordsToDelete(before_offset=before)})
    await admin.close()


def test_every_kind_that_is_recorded_has_a_remedy() -> None:
    """Each kind of incident that the code makes stands in the table, with one line to do and commands that exist."""
    names = ("consumer/partition", "consumer/record_batch", "consumer/slow_path", "store/batch")
    code = "\n".join((ROOT / f"{name}.py").read_text() for name in names)
    made = set(re.findall(r'(?:Incident|UnreadableError)\("([a-z_]+)"', code))
    assert made == set(KINDS)
    assert kind("of_the_future") is UNKNOWN
    for each in (*KINDS.values(), UNKNOWN):
        assert len(each.to_do) <= 70
        assert "`wex incidents" in each.advice
        assert "{partition}" in each.advice
        assert (each.go_on is GoOn.NAMED) == ("--to OFFSET" in each.advice)
