"""The limits of the contract, each with its reason.

They are constants and part of the fold's version: a record that is refused today must be refused in every replay,
so no setting and no clock may move them.
"""

from __future__ import annotations

from datetime import UTC, datetime

RECORD_BYTES_MAX = 1_048_576  # the brokers' own default for a record; anything larger came round that limit
HEADERS_MAX = 1_000  # a record has a handful; more are an attack or a loop, and each becomes an object
IDENTIFIER_BYTES_MAX = 512  # four of them fit into one B-tree key of PostgreSQL, which ends at 2,704 bytes
TEXT_BYTES_MAX = 8_192  # a reason is a sentence or a page, not a log file
RECORD_DEPTH_MAX = 500  # counted, not left to the parser, whose own bound moves with the depth of its caller's stack
PAYLOAD_BYTES_MAX = 262_144  # input, output and error stay readable in one round trip; larger ones belong elsewhere
PAYLOAD_DEPTH_MAX = 100  # pydantic stops at 201, orjson at 254: a stored payload must be readable by both
PAYLOAD_KEY_BYTES_MAX = 1_024  # keys are names; a longer one is data in the wrong place
NUMBER_DIGITS_MAX = 40  # 1e131071 is 8 bytes on the wire and 131 kB in a jsonb read back
LABELS_MAX = 64  # labels are for filtering; more are a payload
COUNT_MAX = 2**31 - 1  # attempts and activities; an INTEGER of PostgreSQL
DURATION_MS_MAX = 2**53 - 1  # the largest integer that every JSON parser keeps exactly

# Outside of this window a time is a unit mixed up (seconds for milliseconds) or an unset field, and PostgreSQL and
# Python disagree about the far ends of the calendar.
TIME_MIN = datetime(2000, 1, 1, tzinfo=UTC)
TIME_MAX = datetime(2100, 1, 1, tzinfo=UTC)
