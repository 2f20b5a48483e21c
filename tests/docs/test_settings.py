"""The tables of settings and exit codes say what the code says."""

from __future__ import annotations

from pydantic import SecretStr

from consumer.errors import ExitCode
from consumer.settings import Settings
from tests.docs.pages import table

NOT_SET = "\u2013"


def documented() -> list[list[str]]:
    """The rows that the settings themselves give."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = ",".join(default) if isinstance(default, tuple) else str(default)
        shown = shown.lower() if isinstance(default, bool) else shown
        rows.append([f"`WEX_{name.upper()}`", field.description or "", NOT_SET if default is None else f"`{shown}`"])
    return rows


def test_every_setting_is_documented() -> None:
    """docs/settings.md lists every setting in order, with its meaning and its default."""
    expected = "\n".join(f"| {' | '.join(row)} |" for row in documented())
    assert table("docs/settings.md", "variable") == documented(), f"the table should be\n{expected}"


def test_the_settings_of_other_pages_are_right() -> None:
    """What the README says about a setting is what docs/settings.md says."""
    rows = table("README.md", "variable")
    assert [row for row in rows if row not in documented()] == []
    assert [row[0] for row in rows[:2]] == ["`WEX_KAFKA_BOOTSTRAP_SERVERS`", "`WEX_DATABASE_URL`"]


def test_every_exit_code_is_documented() -> None:
    """The README lists every exit code with its name."""
    codes = [[str(int(code)), code.name.lower().replace("_", " ")] for code in ExitCode]
    assert [row[:2] for row in table("README.md", "code")] == codes
