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
    """Return a statement about two schemas, with their names in the places that it leaves for them.

    A place is a name, `live_schema.users`, or a literal of its own, `'live_schema'`, which gets the text of that name.
    """
    quoted = {
        place: '"' + name.replace('"', '""') + '"' for place, name in (("live_schema", live), ("shadow_schema", shadow))
    }
    literals = {f"'{place}'": "'" + name.replace("'", "''") + "'" for place, name in quoted.items()}
    tag = "$$"
    while tag in live + shadow:  # or the name would end the block in which it stands
        tag = f"{tag[:-1]}_$"
    places = "'(live|shadow)_schema'|(live|shadow)_schema"
    return re.sub(places, lambda found: (quoted | literals)[found[0]], sql.replace("$$", tag))
