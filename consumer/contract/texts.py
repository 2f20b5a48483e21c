"""JSON as the pages and the files show it."""

from __future__ import annotations

import json
from typing import Any

from events import Verb, encode
from events.examples import example


def json_text(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return JSON as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def example_text(verb: Verb) -> str:
    """Return the example of a verb as it travels, on several lines."""
    return json_text(json.loads(encode(example(verb))))
