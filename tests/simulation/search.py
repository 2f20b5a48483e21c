"""Running seeds, and telling the story of one that fails."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.invariants import Violation
from tests.simulation.world import World

STEPS_TOLD = 60


@dataclass(frozen=True)
class Failure:
    """A seed under which something does not hold.

    Attributes:
        name: of the invariant, or "crash".
        story: for a person to read.
    """

    seed: int
    name: str
    story: str


def run(seed: int, world_class: type[World] = World, command: str = "") -> Failure | None:
    """Run one seed to its end."""
    world = world_class(seed)
    try:
        _finish(world)
    except Violation as violation:
        return Failure(seed, violation.name, _story(world, seed, violation, command))
    except Exception as error:  # noqa: BLE001 - a crash is a failure, too, and its seed is wanted
        return Failure(seed, "crash", _story(world, seed, error, command))
    return None


def _finish(world: World) -> None:
    try:
        world.run().send(None)
    except StopIteration:
        return
    msg = "nothing in the simulation waits"
    raise AssertionError(msg)


def _story(world: World, seed: int, error: Exception, command: str) -> str:
    first = max(0, len(world.told) - STEPS_TOLD)
    told = "\n".join(f"{number:5} {what}" for number, what in enumerate(world.told[first:], first + 1))
    weather = ", ".join(sorted(world.weather)) or "none"
    repeat = command or f"python -m tests.simulation --first {seed} --seeds 1"
    return f"seed {seed}; troubles: {weather}\n{told}\n{type(error).__name__}: {error}\nto see it again: {repeat}\n"
