"""The SQL statements: one per file in `sql/`, read once."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "sql"


@cache
def statement(name: str) -> str:
    """Return the statement in `sql/<name>.sql`."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def between(sql: str, *, live: str, shadow: str) -> str:
    """Return a statement about two schemas, with their names in the places that it leaves for them."""
    quoted = {
        place: '"' + name.replace('"', '""') + '"' for place, name in (("live_schema", live), ("shadow_schema", shadow))
    }
    return re.sub("live_schema|shadow_schema", lambda found: quoted[found[0]], sql)
