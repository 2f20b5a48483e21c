"""Kafka's jars, fetched once by their coordinates with Maven or jgo and kept in a cache that is whole or absent."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

from consumer.errors import WexError
from consumer.local.site import Site, writing

KAFKA = "4.3.1"
# slf4j-simple writes to standard error, which is the log; its version follows the slf4j-api that Kafka brings.
COORDINATES = (("org.apache.kafka", "kafka_2.13", KAFKA), ("org.slf4j", "slf4j-simple", "1.7.36"))
_HINT = "The first start needs a network, and Maven (or jgo) set up to reach its repository."


def fetch(site: Site) -> Path:
    """Return the folder of the jars, having fetched them when they are not in the cache.

    Raises:
        WexError: there is nothing to fetch them with, or fetching failed; with the remedy.
    """
    cached = site.cache_dir / f"kafka-{KAFKA}"
    if cached.is_dir():
        return cached
    site.report(f"Kafka: fetching version {KAFKA} (44 MB, once)")
    with writing(site.cache_dir):
        site.cache_dir.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(prefix=".fetch-", dir=site.cache_dir)
    with work as name:
        jars = Path(name) / "jars"
        jars.mkdir()
        _fetch_into(jars, Path(name), site)
        _keep(jars, cached)
    return cached


def _fetch_into(jars: Path, work: Path, site: Site) -> None:
    maven = shutil.which("mvn")
    if maven:
        _with_maven(Path(maven), jars, work, site)
    elif importlib.util.find_spec("jgo"):
        _with_jgo(jars, work, site)
    else:
        message = "Kafka's jars cannot be fetched: neither mvn on PATH nor the package jgo was found"
        raise WexError(message, "pip install 'workflow-executions[local]'")
    if not any(jars.glob("kafka_2.13-*.jar")):
        message = f"Kafka {KAFKA} was fetched, but its jar did not arrive"
        raise WexError(message, f"The whole log: {site.log('fetch')}")


def _with_maven(maven: Path, jars: Path, work: Path, site: Site) -> None:
    (work / "pom.xml").write_text(_pom())
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
    site.run("fetch", [maven, "--quiet", "--batch-mode", "--file", work / "pom.xml", *goal], hint=_HINT)


def _with_jgo(jars: Path, work: Path, site: Site) -> None:
    endpoint = "+".join(":".join(coordinate) for coordinate in COORDINATES)
    options: list[str | Path] = [
        "--resolver",
        "python",
        "--java-version",
        "17",
        "--color",
        "plain",
        "--cache-dir",
        work / "jgo",
    ]
    site.run("fetch", [sys.executable, "-m", "jgo", *options, "info", "classpath", endpoint], hint=_HINT)
    # jgo sorts jars into jars/ and modules/; Kafka wants them all on one class path.
    for jar in (work / "jgo").rglob("*.jar"):
        shutil.copyfile(jar, jars / jar.name)


def _pom() -> str:
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        for group, artifact, version in COORDINATES
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>kafka</artifactId>"
        f"<version>1</version><dependencies>{dependencies}</dependencies></project>"
    )


def _keep(jars: Path, cached: Path) -> None:
    """Move the folder into its place in one step; when another start was faster, its copy is as good."""
    with writing(cached):
        try:
            jars.rename(cached)
        except OSError:
            if not cached.is_dir():
                raise
