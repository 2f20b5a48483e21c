#!/usr/bin/env sh
# Pins every dependency by hash, for Python 3.11 and later on every platform. No index address is written down.
set -eu
cd "$(dirname "$0")/.."
compile() {
  uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
    --no-strip-extras --custom-compile-command 'make requirements' --quiet "$@"
}
compile pyproject.toml --extra temporal -o requirements/run.txt
compile pyproject.toml --extra temporal --extra archive --extra local --group dev -o requirements/dev.txt
# The same versions of what both need: it is installed on top.
compile --group pyproject.toml:bench --constraints requirements/dev.txt -o requirements/bench.txt
