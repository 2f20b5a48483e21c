"""Versions of the contract: how what was published under an older one is read today.

v1 only grows, so a new version is the exception: it is for a change that an old reader would misread. The models are
those of the newest version. An *upcaster* turns what an event of one version says into what the next would have said,
and a record is led through them one by one. Nothing is rewritten in the log, and an upcaster is kept for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .errors import InvalidEvent
from .models import VERSION

Members = dict[str, bytes]  # the fields of `data`, each as raw JSON
Upcaster = Callable[[str, Members], tuple[str, Members]]  # verb and data of one version → those of the next


@dataclass(frozen=True)
class Versions:
    """The versions that are read.

    Attributes:
        newest: the version of the models.
        upcasters: for each older version that is still read, what leads to the next.
    """

    newest: int = VERSION
    upcasters: Mapping[int, Upcaster] = field(default_factory=dict)

    def upcast(self, version: int, verb: str, members: Members) -> tuple[str, Members]:
        """Return verb and data as the newest version says them.

        Raises:
            InvalidEvent: the version is not read.
        """
        while version < self.newest and (upcaster := self.upcasters.get(version)) is not None:
            verb, members = upcaster(verb, members)
            version += 1
        if version != self.newest:
            raise InvalidEvent("unsupported_version", "type", f"v{version}; this consumer reads v{self.newest}")
        return verb, members


VERSIONS = Versions()
