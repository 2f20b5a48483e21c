"""The scope of a replay: which executions it rebuilds. All others, and what happens to them, stay what they are.

A scope is a property of executions and never of records, for a row is made from all of its events or it is wrong.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayScope:
    """Executions that meet all of this; without any of it, all.

    Attributes:
        executions: these.
        workflows: of one of these workflows, as the table or the log has it.
        topics: with an event in one of these topics.
        since: that began at this time or later, as the table or the log has it.
        until: that began before this time, as the one of the two has it that says `since` as well.
    """

    executions: tuple[UUID, ...] = ()
    workflows: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        """Let the same scope be equal, in whatever order it is named."""
        for name in ("executions", "workflows", "topics"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))

    def __bool__(self) -> bool:
        """Whether it leaves anything out."""
        return self != ReplayScope()

    def __str__(self) -> str:
        """The options that say it."""
        return " ".join(self._options()) or "everything"

    def _options(self) -> Iterator[str]:
        for name in ("executions", "workflows", "topics"):
            yield from (f"--{name[:-1]} {shlex.quote(str(each))}" for each in getattr(self, name))
        for name in ("since", "until"):
            if (time := getattr(self, name)) is not None:
                yield f"--{name} {time.isoformat()}"

    def for_programs(self) -> dict[str, Any]:
        """Return it as it is kept and printed."""
        found = asdict(self)
        found["executions"] = [str(id_) for id_ in self.executions]
        return found | {name: found[name] and found[name].isoformat() for name in ("since", "until")}

    def to_json(self) -> str:
        """Return it as it is kept."""
        return json.dumps(self.for_programs())

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """Return what was kept; nothing was, where everything is rebuilt."""
        kept = json.loads(text or "{}")
        times = {name: kept[name] and datetime.fromisoformat(kept[name]) for name in ("since", "until") if name in kept}
        executions = tuple(UUID(id_) for id_ in kept.get("executions", ()))
        return cls(**times, executions=executions, workflows=kept.get("workflows", ()), topics=kept.get("topics", ()))
