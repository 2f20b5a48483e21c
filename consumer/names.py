"""The guard over our generic names: PyPI has a package `Events` that installs a top-level `events` over ours.

Depends on nothing of ours but the errors, since whatever else it imported might be the foreigner's.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from consumer.errors import WexError

ROOT = Path(__file__).parent.parent

# A line of each package's __init__.py: a foreigner in our folder has overwritten it.
_OURS = {"events": b"from .fold import ", "store": b"from store.batch import "}


def check(root: Path = ROOT) -> None:
    """Refuse to run when a foreign package owns one of our names.

    Raises:
        WexError: the message names the package and its folder.
    """
    for name, line in _OURS.items():
        spec = find_spec(name)
        found = Path(spec.origin) if spec is not None and spec.origin is not None else None
        expected = root / name / "__init__.py"
        if found is None or found.resolve() != expected.resolve() or line not in found.read_bytes():
            where = "nowhere" if found is None else f"in {found.parent}"
            message = f"the package {name!r} is {where} and is not ours; it belongs to {_owners(name)}"
            remedy = "Install workflow-executions into an environment of its own, without that package."
            raise WexError(message, remedy)


def _owners(name: str) -> str:
    """Name the distributions that install a top-level package, ours left out; slow, for the message only."""
    from importlib.metadata import packages_distributions

    owners = set(packages_distributions().get(name, ())) - {"workflow-executions"}
    return ", ".join(sorted(owners)) or "no package that pip knows"
