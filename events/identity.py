"""Identity: an execution is one run, named by (namespace, temporal_workflow_id, temporal_run_id)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID, SafeUUID

import orjson

DEFAULT_NAMESPACE = "default"
_IDS_REMEMBERED = 16_384  # the events of an execution come close together

# Fixed for ever: every publisher and every rebuild must arrive at the same id without asking anyone.
_ID_NAMESPACE = UUID("6f1d3c52-9a1e-5b7c-8f44-2b7f0c6f8a11")

_VERSION_AND_VARIANT = 0xF000 << 64 | 0xC000 << 48
_VERSION_5 = 0x5000 << 64 | 0x8000 << 48
_put_int = vars(UUID)["int"].__set__  # ids are frozen
_put_is_safe = vars(UUID)["is_safe"].__set__


@lru_cache(_IDS_REMEMBERED)
def execution_id(namespace: str, temporal_workflow_id: str, temporal_run_id: str) -> UUID:
    """Return the id of a run: a UUIDv5 over the compact JSON array of its three names in UTF-8."""
    name = _ID_NAMESPACE.bytes + orjson.dumps((namespace, temporal_workflow_id, temporal_run_id))
    # What uuid5 does, in a third of the time: version and variant are put in by hand, and not looked at again.
    number = int.from_bytes(hashlib.sha1(name, usedforsecurity=False).digest()[:16])
    id_ = UUID.__new__(UUID)
    _put_int(id_, number & ~_VERSION_AND_VARIANT | _VERSION_5)
    _put_is_safe(id_, SafeUUID.unknown)
    return id_


class RunKey(NamedTuple):
    """The three names that make a run."""

    namespace: str
    temporal_workflow_id: str
    temporal_run_id: str

    @property
    def id(self) -> UUID:
        """The execution's id."""
        return execution_id(*self)


@dataclass(frozen=True, slots=True)
class RunRef:
    """What a publisher says to name a run: the workflow it belongs to, and the run itself."""

    workflow_id: str
    temporal_workflow_id: str
    temporal_run_id: str
    namespace: str = DEFAULT_NAMESPACE

    @property
    def key(self) -> RunKey:
        """The run's three names."""
        return RunKey(self.namespace, self.temporal_workflow_id, self.temporal_run_id)

    @property
    def id(self) -> UUID:
        """The execution's id, which is also the record's key."""
        return self.key.id
