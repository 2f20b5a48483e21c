"""What must hold after every step of the simulation, by name."""

from __future__ import annotations

INVARIANTS = {
    "once": "each offset below next_offset is in the ledger exactly once",
    "in order": "a partition's ledger is in the order of its offsets",
    "position with effects": "a position never moves without its effects, nor back; and effects never come without it",
    "own claim": "nothing is written under a claim that somebody else has taken over",
    "own log": "nothing of a log that is not the one that was read is applied before an operator says so",
    "halted": "what is halted stays halted until an operator says so",
    "bounded": "what is accepted and not applied yet stays within the bounds of bytes and chunks",
    "live": "once all is well, every partition is applied to its log's end, or halted, within so many steps",
    "incident": "a partition is halted only for what is wrong with its log, and the incident names where",
    "dead letters": "the dead letters are exactly the bad records below next_offset",
    "clean stop": "a consumer that is stopped in peace ends with everything applied that it had accepted",
}


class Violation(Exception):  # noqa: N818 - it is what the search looks for, not an error of the program
    """An invariant that does not hold.

    Attributes:
        name: of the invariant.
    """

    def __init__(self, name: str, detail: str) -> None:
        assert name in INVARIANTS, name
        self.name = name
        super().__init__(f"{name} ({INVARIANTS[name]}): {detail}")
