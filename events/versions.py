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

    def way_from(self, version: int) -> list[Upcaster]:
        """Return the upcasters that lead from a version to the newest.

        Raises:
            InvalidEvent: the version is not read.
        """
        way = [self.upcasters.get(step) for step in range(version, self.newest)]
        if None in way or not 1 <= version <= self.newest:
            raise InvalidEvent("unsupported_version", "type", f"v{version}; this consumer reads v{self.newest}")
        return [upcaster for upcaster in way if upcaster is not None]


VERSIONS = Versions()
