"""Topics for events: made where they are missing, and never compacted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from .errors import TopicError
from .security import problem_with, refuse_plaintext, stated

log = logging.getLogger(__name__)

PARTITIONS = 8  # parallel consumers per topic; adding partitions later scatters an execution's events, harmlessly
BROKER_DEFAULT = -1
TIMEOUT_SECONDS = 10.0  # a server that has not answered by then is down, or somebody else's


async def ensure_topics(
    bootstrap_servers: str | Sequence[str],
    topics: Iterable[str],
    *,
    partitions: int = PARTITIONS,
    timeout_seconds: float = TIMEOUT_SECONDS,
    client_options: Mapping[str, Any] | None = None,
) -> list[str]:
    """Make the topics that are missing and return their names; warn in the log of those that are compacted.

    Args:
        bootstrap_servers: host:port of brokers.
        topics: names of topics.
        partitions: of the topics to make; the replication factor is the broker's default.
        timeout_seconds: for all of it together.
        client_options: `security_protocol`, `ssl_context`, `sasl_…` as aiokafka spells them; where no
            `security_protocol` is stated, plaintext, on this machine only.

    Raises:
        TopicError: the servers do not answer in time, or refuse.
    """
    wanted = list(dict.fromkeys(topics))
    where = f"Kafka at {bootstrap_servers}"
    options = stated(client_options)
    try:
        refuse_plaintext(bootstrap_servers, options)
        async with asyncio.timeout(timeout_seconds):
            return await _ensure(bootstrap_servers, wanted, partitions, timeout_seconds, options)
    except TimeoutError:
        said = f"{where} did not answer within {timeout_seconds:g} s; check the address and that the broker runs"
        raise await _failed(bootstrap_servers, options, said, timeout_seconds) from None
    except (KafkaError, OSError) as error:
        said = f"{where} cannot serve {', '.join(wanted)}: {error or type(error).__name__}"
        raise await _failed(bootstrap_servers, options, said, timeout_seconds) from error


async def _failed(
    servers: str | Sequence[str], options: Mapping[str, Any], otherwise: str, timeout_seconds: float
) -> TopicError:
    """Return the error, with the cause that the client keeps to its log."""
    problem = await problem_with(servers, options, timeout_seconds=timeout_seconds)
    return TopicError(problem.message, denied=problem.denied) if problem else TopicError(otherwise)


async def _ensure(
    servers: str | Sequence[str],
    wanted: Sequence[str],
    partitions: int,
    timeout_seconds: float,
    client_options: Mapping[str, Any],
) -> list[str]:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=servers, request_timeout_ms=round(timeout_seconds * 1000), **client_options
    )
    try:
        await admin.start()
        # All topics are listed: asking for one by name would make it, with the broker's own idea of partitions.
        existing = set(await admin.list_topics())
        missing = [topic for topic in wanted if topic not in existing]
        created = await _create(admin, missing, partitions) if missing else []
        await _warn_of_compaction(admin, [topic for topic in wanted if topic in existing])
    finally:
        await admin.close()
    return created


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[str], partitions: int) -> list[str]:
    # The empty assignment is how aiokafka lets the broker choose the replication factor.
    new = [NewTopic(topic, partitions, BROKER_DEFAULT, {}, {"cleanup.policy": "delete"}) for topic in topics]
    response = await admin.create_topics(new)
    created = []
    for topic, code, message, *_ in response.topic_errors:
        error = for_code(code)
        if code == 0:
            created.append(topic)
        elif error is not TopicAlreadyExistsError:  # another publisher may have been quicker
            text = f"cannot make topic {topic}: {message or error.message}"
            raise error(text)
    return created


async def compacted_topics(
    bootstrap_servers: str | Sequence[str], topics: Iterable[str], *, client_options: Mapping[str, Any] | None = None
) -> set[str]:
    """Return those of the topics that are compacted, as far as this client may know.

    Raises:
        TopicError: the servers do not answer in time, or refuse.
    """
    options = stated(client_options)
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap_servers, request_timeout_ms=round(TIMEOUT_SECONDS * 1000), **options
    )
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        return await _compacted(admin, sorted(existing & set(topics)))
    except (KafkaError, OSError) as error:
        said = f"Kafka at {bootstrap_servers} cannot describe topics: {error or type(error).__name__}"
        raise await _failed(bootstrap_servers, options, said, TIMEOUT_SECONDS) from error
    finally:
        await admin.close()


async def _warn_of_compaction(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> None:
    """Compaction keeps one event of each execution and throws the others away."""
    for topic in sorted(await _compacted(admin, topics)):
        log.warning(
            "topic %s is compacted and will lose events; set cleanup.policy=delete and a long retention",
            topic,
            extra={"event": "topic_compacted"},
        )


async def _compacted(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> set[str]:
    if not topics:
        return set()
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic, {"cleanup.policy": None}) for topic in topics]
    return {
        topic
        for response in await admin.describe_configs(asked)
        for _, _, _, topic, entries in response.resources  # no entries where the client may not read them
        if any("compact" in (value or "") for _, value, *_ in entries)
    }
