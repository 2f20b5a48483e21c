"""Passwords of Kafka's users, changed while the broker runs: what `kafka-configs` does, which is in no package."""

from __future__ import annotations

import hashlib

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactBytes, CompactString, Int8, Int16, Int32, Schema, TaggedFields

ALTER_USER_SCRAM_CREDENTIALS = 51
SHA_512 = 2
ITERATIONS = 4_096
SALT = b"salt-of-the-tests"

_Credential = tuple[str, int, int, bytes, bytes, dict[int, bytes]]


class _AlterResponse(Response):  # type: ignore[misc] # aiokafka ships no type information
    API_KEY = ALTER_USER_SCRAM_CREDENTIALS
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterRequestStruct(RequestStruct):  # type: ignore[misc] # as above
    API_KEY = ALTER_USER_SCRAM_CREDENTIALS
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _AlterResponse
    SCHEMA = Schema(
        ("deletions", CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields))),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterRequest(Request[_AlterRequestStruct]):  # type: ignore[misc] # as above
    API_KEY = ALTER_USER_SCRAM_CREDENTIALS

    def __init__(self, credential: _Credential) -> None:
        self._credential = credential

    def build(self, request_struct_class: type[_AlterRequestStruct]) -> _AlterRequestStruct:
        return request_struct_class([], [self._credential], {})


async def set_password(servers: str, user: str, password: str) -> None:
    """Give a user this password, and no other, for SCRAM-SHA-512."""
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), SALT, ITERATIONS)
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    answer = await admin._send_to_controller(_AlterRequest((user, SHA_512, ITERATIONS, SALT, salted, {})))
    await admin.close()
    assert [code for _, code, *_ in answer.results] == [0]
