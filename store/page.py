"""A page of executions: a list like any other, which knows where the next one begins."""

from __future__ import annotations

from collections.abc import Iterable

from store.execution import Execution
from store.freshness import Freshness


class Page(list[Execution]):
    """Executions in the order that was asked for.

    Attributes:
        next_cursor: where the next page begins; None at the end.
        previous_cursor: where the page before ends; None where nothing was passed over.
        freshness: what is applied in it at least.
    """

    def __init__(
        self,
        executions: Iterable[Execution] = (),
        next_cursor: str | None = None,
        previous_cursor: str | None = None,
        freshness: Freshness | None = None,
    ) -> None:
        super().__init__(executions)
        self.next_cursor = next_cursor
        self.previous_cursor = previous_cursor
        self.freshness = freshness or Freshness()
