# Everything here sets itself up: a virtual environment in .venv, with every package checked by its hash.

# The first Python that is new enough, python3 before all others.
PYTHON = $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.bench-ready
COVERAGE_PERCENT := 90
WORKERS := 3
SEEDS := 20000

.DEFAULT_GOAL := help
.PHONY: help demo test test-system proof chaos exercise laws-deep mutants simulate kill-matrix bench bench-quick bench-core bench-indexes bench-replay bench-archive bench-reads bench-latency bench-growth check up down format contract pages requirements clean python

help: ## Print this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
		while IFS= read -r line; do printf '  make %-14s%s\n' "$${line%%:*}" "$${line#*## }"; done

demo: $(READY) ## Run real workflows through the whole path and compare every row with the server.
	$(BIN)/wex demo

test: $(READY) $(BENCH_READY) ## Run the tests on real servers, and demand that they cover the code.
	$(BIN)/pytest -m "not system" --numprocesses $(WORKERS) --dist worksteal --cov --cov-report=term --cov-fail-under=$(COVERAGE_PERCENT)
	$(BIN)/coverage report --include='events/*' --omit='events/publisher/*,events/adapters/*' --fail-under=100

test-system: $(READY) ## Run the tests that fault or kill the whole stack.
	$(BIN)/pytest -m system

proof: $(READY) ## Corrupt 50 rows of EXECUTIONS=200000; verify names exactly those, repair mends them. SEED=… repeats a run.
	WEX_PROOF_EXECUTIONS=$(or $(EXECUTIONS),200000) WEX_PROOF_SEED=$(or $(SEED),0) $(BIN)/pytest -q tests/system/test_proof.py

chaos: $(READY) ## Fault real servers, links and consumers, and judge what is left; MINUTES=10, SEED=… repeats a run.
	$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(if $(JSON),--json $(JSON))

exercise: $(READY) ## Play six incidents: the alert, the runbook's entry, its commands, and what is left (two minutes).
	$(BIN)/python -m tests.exercise

laws-deep: $(READY) ## Try the laws on 5,000 random histories each, others every time (twenty minutes).
	WEX_LAWS=deep $(BIN)/pytest tests/laws tests/conformance/test_histories.py --timeout=3600 --hypothesis-show-statistics

mutants: $(READY) ## Weaken the fold in over a hundred ways and see each one noticed (ten minutes).
	$(BIN)/python -m tests.mutants

simulate: $(READY) ## Run the consumer in simulated worlds of Kafka and PostgreSQL, SEEDS=20000 of them (three minutes).
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

kill-matrix: $(READY) ## Weaken the consumer in thirty ways and see each one caught by an invariant (half a minute).
	$(BIN)/python -m tests.simulation.kill_matrix

bench: $(READY) $(BENCH_READY) ## Time the consumer beside five other sinks (15 minutes); EVENTS=… ROUNDS=… ONLY=wex,debezium JSON=1
	$(BIN)/python -m benchmarks.sinks $(if $(EVENTS),--events $(EVENTS)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json)

bench-quick: $(READY) ## Time the hot paths in two minutes; COMPARE=1 compares with the kept figures, KEEP=1 keeps new ones.
	$(BIN)/python -m benchmarks.quick $(if $(COMPARE),--compare) $(if $(KEEP),--keep) $(if $(JSON),--json)

bench-core: $(READY) ## Time decoding and folding beside orjson and msgspec; PROFILE=1 shows where it goes.
	$(BIN)/python -m benchmarks.core $(if $(PROFILE),--profile)

bench-indexes: $(READY) ## Time applying with and without the indexes of lists, and with some that were refused.
	$(BIN)/python -m benchmarks.indexes

bench-replay: $(READY) ## Time verifying beside the live rate of the same run, EVENTS=1000000 of them.
	$(BIN)/python -m benchmarks.replay --events $(or $(EVENTS),1000000)

bench-archive: $(READY) ## Time archiving, and verifying from the archive beside from the log, EVENTS=1000000 of them.
	$(BIN)/python -m benchmarks.archive --events $(or $(EVENTS),1000000)

bench-reads: $(READY) ## Time what is read from a million and from ten million executions (30 GB, half an hour); KEEP=folder keeps them.
	$(BIN)/python -m benchmarks.reads --cold $(if $(KEEP),--keep $(KEEP))

bench-latency: $(READY) $(BENCH_READY) ## Time from publishing to committed, and to seen, at 500, 2,000 and 5,000 events a second; BESIDE="debezium librdkafka …"
	$(BIN)/python -m benchmarks.latency $(if $(BESIDE),--beside $(BESIDE)) $(if $(JSON),--json)

bench-growth: $(READY) ## Time how the cost of an event grows with rows (MOST=1000000), payloads, partitions and processes.
	$(BIN)/python -m benchmarks.growth $(if $(MOST),--rows-max $(MOST)) $(if $(EVENTS),--events $(EVENTS)) $(if $(JSON),--json)

check: $(READY) $(BENCH_READY) ## Check format, lint, types, imports, migrations and pinned requirements.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/squawk migrations/*.sql
	$(BIN)/pytest -q tests/architecture/test_requirements.py tests/docs/test_settings.py tests/docs/test_metrics.py \
		tests/docs/test_commands.py

up: $(READY) ## Start PostgreSQL and Kafka on this machine, until `make down`.
	$(BIN)/wex up --detach

down: $(READY) ## Stop them; the data stays.
	$(BIN)/wex down

format: $(READY) ## Format the code and mend what the linter can mend.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

contract: $(READY) ## Write docs/contract and docs/event-contract.md anew, from the code.
	$(BIN)/wex schema write docs

pages: $(READY) ## Write docs/metrics.md and docs/commands.md anew, from the code.
	$(BIN)/python -m consumer.monitoring.page docs/metrics.md
	$(BIN)/python -m consumer.command_page docs/commands.md

requirements: python ## Pin the dependencies of pyproject.toml by hash, into requirements/.
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
		$(PYTHON) -m venv "$$folder"; \
		"$$folder/bin/pip" install --quiet --disable-pip-version-check uv; \
		PATH="$$folder/bin:$$PATH" sh requirements/compile.sh

clean: ## Remove what `make` made; the data of `make up` stays in .wex.
	rm -rf $(VENV) dist build .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements/dev.txt pyproject.toml | python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# On top of the others; without a network what is compared with the consumer is left out, with a word.
$(BENCH_READY): requirements/bench.txt $(READY)
	-$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $< && touch $@

python:
	@test -n "$(PYTHON)" || { \
		echo "Python 3.11 or newer is needed; python3 is $$(python3 --version 2>/dev/null || echo missing)." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12 …" >&2; exit 1; }
