"""The jars of `connect.lock`, fetched once with Maven, compared with their checksums, and kept in a cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

LOCK = Path(__file__).with_name("connect.lock")
CACHE = Path.home() / ".cache" / "workflow-executions"
SECONDS = 600  # 61 MB over a slow line


class MissingJarsError(Exception):
    """The jars are not here; the message says why."""


def fetch() -> Path:
    """Return the folder of the jars.

    Raises:
        MissingJarsError: they cannot be fetched, or are not what the lock says.
    """
    text = LOCK.read_text()
    cached = CACHE / f"connect-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if cached.is_dir():
        return cached
    maven = shutil.which("mvn")
    if maven is None:
        msg = "Kafka Connect's jars need Maven (mvn) on PATH to be fetched"
        raise MissingJarsError(msg)
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = dict(line.split() for line in text.splitlines() if not line.startswith("#"))
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=CACHE) as folder:
        _fetch_into(Path(folder), maven, list(wanted))
        _compare(Path(folder) / "jars", wanted)
        (Path(folder) / "jars").rename(cached)
    return cached


def _fetch_into(folder: Path, maven: str, coordinates: list[str]) -> None:
    (folder / "pom.xml").write_text(_pom(coordinates))
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'jars'}"]
    ended = subprocess.run(  # noqa: S603 - found on PATH, with our own arguments
        [maven, "--quiet", "--batch-mode", "--file", str(folder / "pom.xml"), *goal],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if ended.returncode:
        msg = f"Maven cannot fetch Kafka Connect's jars: {(ended.stdout + ended.stderr)[-500:]}"
        raise MissingJarsError(msg)


def _pom(coordinates: list[str]) -> str:
    """Name every jar, and leave nothing to be resolved."""
    dependencies = "".join(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version><exclusions><exclusion>"
        "<groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>".format(*each.split(":"))
        for each in coordinates
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>connect</artifactId>"
        f"<version>1</version><dependencies>{dependencies}</dependencies></project>"
    )


def _compare(folder: Path, wanted: dict[str, str]) -> None:
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.jar")}
    right = {"{1}-{2}.jar".format(*coordinate.split(":")): digest for coordinate, digest in wanted.items()}
    if found != right:
        differing = sorted(name for name in found.keys() | right.keys() if found.get(name) != right.get(name))
        msg = f"these jars are not what {LOCK.name} says: {', '.join(differing)}"
        raise MissingJarsError(msg)
