"""docker-compose.yml and the Dockerfile agree with the settings, with each other and with the local stack."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import requires
from typing import Any
from urllib.parse import urlsplit

import pytest
from compose_spec import PyCompose
from compose_spec.models import Service
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from consumer.local import jars
from consumer.settings import Settings
from tests.architecture.sources import ROOT

COMPOSE = PyCompose.from_yaml((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
VARIABLE = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")


def service(name: str) -> Service:
    """One service of the file, as the Compose specification reads it."""
    services = COMPOSE.to_spec().services
    assert services is not None
    return services[name]


def environment(name: str) -> dict[str, str]:
    """The environment of a service, with the defaults of the variables in it."""
    # Not from the model, which makes numbers of what Docker hands on as text.
    stated: dict[str, Any] = COMPOSE.to_dict()["services"][name]["environment"]
    return {variable: VARIABLE.sub(r"\1", str(value)) for variable, value in stated.items()}


def listeners(name: str) -> dict[str, str]:
    """One of Kafka's lists of listeners: name to host:port."""
    return dict(part.split("://", 1) for part in environment("kafka")[name].split(","))


def instructions(name: str) -> list[str]:
    """The arguments of one kind of instruction in the Dockerfile's order."""
    text = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} (.*)$", text, re.MULTILINE)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that the service reads from the environment in the file."""
    for variable, value in environment("service").items():
        monkeypatch.setenv(variable, value)
    return Settings()


def test_the_file_is_what_the_specification_says() -> None:
    """The file follows the Compose specification and holds Kafka, PostgreSQL and the service."""
    services = COMPOSE.to_spec().services
    assert services is not None
    assert set(services) == {"kafka", "postgres", "service"}


def test_every_variable_is_a_setting() -> None:
    """Each WEX_ variable in the file is a setting, and the service has no other variable."""
    known = {f"WEX_{name.upper()}" for name in Settings.model_fields}
    assert set(environment("service")) <= known
    assert not [name for other in ("kafka", "postgres") for name in environment(other) if name.startswith("WEX_")]


def test_kafka_is_where_the_service_looks_for_it(settings: Settings) -> None:
    """The bootstrap server is the address that Kafka advertises to containers and listens at."""
    host, _, port = settings.kafka_bootstrap_servers.partition(":")
    internal = environment("kafka")["KAFKA_INTER_BROKER_LISTENER_NAME"]
    assert host == "kafka"
    assert listeners("KAFKA_ADVERTISED_LISTENERS")[internal] == settings.kafka_bootstrap_servers
    assert listeners("KAFKA_LISTENERS")[internal] == f":{port}"


def test_postgres_is_where_the_service_looks_for_it(settings: Settings) -> None:
    """Host, user, password and database of the URL are those that PostgreSQL is made with."""
    url = urlsplit(settings.database_url.get_secret_value())
    made = environment("postgres")
    assert (url.hostname, url.port) == ("postgres", 5432)
    assert (url.username, url.password) == (made["POSTGRES_USER"], made["POSTGRES_PASSWORD"])
    assert url.path == f"/{made['POSTGRES_DB']}"
    assert settings.insecure, "a host that is not this machine is asked for verified TLS"
    assert settings.database.endswith("?sslmode=prefer")
    assert settings.kafka.client_options["security_protocol"] == "PLAINTEXT"


def test_the_host_finds_what_the_defaults_say() -> None:
    """Programs on this machine reach Kafka at the default setting, and both servers only from this machine."""
    default = Settings.model_fields["kafka_bootstrap_servers"].default
    assert listeners("KAFKA_ADVERTISED_LISTENERS")["HOST"] == default
    for name, port in (("kafka", "9092"), ("postgres", "5432")):
        assert {str(entry) for entry in service(name).ports or ()} == {f"127.0.0.1:{port}:{port}"}


def test_kafka_is_one_node_in_kraft_mode() -> None:
    """One node is broker and controller, votes for itself, and replicates to nobody."""
    kafka = environment("kafka")
    roles, node = kafka["KAFKA_PROCESS_ROLES"], kafka["KAFKA_NODE_ID"]
    controller = kafka["KAFKA_CONTROLLER_LISTENER_NAMES"]
    names = set(listeners("KAFKA_LISTENERS"))
    assert roles == "broker,controller"
    assert kafka["KAFKA_CONTROLLER_QUORUM_VOTERS"] == f"{node}@kafka{listeners('KAFKA_LISTENERS')[controller]}"
    assert set(listeners("KAFKA_ADVERTISED_LISTENERS")) == names - {controller}
    assert {pair.split(":")[0] for pair in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")} == names
    counts = {name: value for name, value in kafka.items() if name.endswith(("REPLICATION_FACTOR", "MIN_ISR"))}
    assert len(counts) == 6
    assert set(counts.values()) == {"1"}


def test_kafka_is_the_version_that_is_tested() -> None:
    """The image is the version of Kafka that the local stack and the tests run."""
    assert service("kafka").image == f"apache/kafka:{jars.KAFKA}"


def test_data_outlives_the_containers() -> None:
    """Kafka and PostgreSQL write into named volumes, where their images keep the data."""
    volumes = {f"{name}": {str(volume) for volume in service(name).volumes or ()} for name in ("kafka", "postgres")}
    assert volumes == {
        "kafka": {f"kafka-data:{environment('kafka')['KAFKA_LOG_DIRS']}"},
        "postgres": {"postgres-data:/var/lib/postgresql"},
    }
    assert set(COMPOSE.to_dict()["volumes"]) == {"kafka-data", "postgres-data"}


def test_the_service_starts_when_its_servers_are_healthy() -> None:
    """The service waits for health checks that exist, and everything comes back after a crash."""
    waits = {name: wait["condition"] for name, wait in COMPOSE.to_dict()["services"]["service"]["depends_on"].items()}
    assert waits == {"kafka": "service_healthy", "postgres": "service_healthy"}
    assert all(service(name).healthcheck is not None for name in waits)
    assert {service(name).restart for name in ("kafka", "postgres", "service")} == {"unless-stopped"}


def test_what_the_image_copies_exists_and_is_not_ignored() -> None:
    """Each file that the Dockerfile copies is in the project, and let through by .dockerignore."""
    copied = [
        path.rstrip("/")
        for line in instructions("COPY")
        if not line.startswith("--from=")
        for path in shlex.split(line)[:-1]
    ]
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert set(copied) == let_through
    assert {"events", "store", "consumer", "migrations"} <= set(copied)


def test_what_the_image_installs_is_checked_by_hash() -> None:
    """Packages are installed from the pinned files only, and ours without looking for any."""
    installs = [part for line in instructions("RUN") for part in line.split("&&") if "pip install" in part]
    by_hash = [part for part in installs if "--require-hashes" in part]
    assert len(by_hash) == 2
    assert "requirements/run.txt" in by_hash[0]
    assert all("--no-index" in part for part in installs if part not in by_hash)


def test_the_build_tools_are_complete() -> None:
    """The build tools that the Dockerfile picks from the pinned packages are hatchling and all that it needs."""
    found = re.search(r"/\^\(([a-z|-]+)\)==/", DOCKERFILE)
    assert found is not None
    needed, waiting = set(), {"hatchling"}
    while waiting:
        needed.add(name := waiting.pop())
        for requirement in map(Requirement, requires(name) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting |= {canonicalize_name(requirement.name)} - needed
    assert set(found[1].split("|")) == needed


def test_the_image_runs_the_service_without_rights() -> None:
    """The image runs `wex consume --migrate` as a user that is not root, and is stopped by SIGTERM."""
    assert instructions("ENTRYPOINT") == ['["wex"]']
    assert instructions("CMD") == ['["consume", "--migrate"]']
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert instructions("USER") == ["10001:10001"]
    assert (service("service").command or [])[:2] == ["consume", "--migrate"]
    assert service("service").read_only is True
