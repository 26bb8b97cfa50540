# outrider: `make` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Everything that installing needs to know; when one of these changes, `make` installs again.
SOURCES := pyproject.toml packages/receiver/pyproject.toml constraints.txt

# Temporary files stay inside the checkout as well.
export TMPDIR := $(CURDIR)/$(VENV)/tmp
# Each test starts processes: without bytecode each of them would compile its modules again.
export PYTHONDONTWRITEBYTECODE :=

# Unit tests and the contracts of the stores.
FAST := tests/domain tests/config tests/usecases tests/worker tests/fakes tests/observability tests/api/validation \
	tests/adapters/crypto/test_payload_encoders.py tests/adapters/sql/stores/test_sqlite.py packages/receiver/tests/test_vectors.py
LONG_RESULTS := benchmarks/results/$(shell date +%F)-test-long.txt

.PHONY: help run test test-fast test-long check generated format bench generate constraints clean

help:  ## List what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: $(STAMP)  ## Set up from nothing and show the main job: a signed event arriving (Ctrl-C ends it)
	@$(BIN)/outrider demo

test: $(STAMP)  ## Set up from nothing and run every test
	@echo "== Running every test (about eight minutes on two cores)"
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile -m "not long"

test-fast: $(STAMP)  ## Run unit and contract tests (less than a minute)
	@$(BIN)/pytest -q -n auto --maxprocesses 4 --dist loadfile -m "not long" --durations 3 $(FAST)

test-long: $(STAMP)  ## Run what takes minutes, and keep the result in benchmarks/results
	@set -o pipefail; { date -u +"%F %R UTC, $$(git rev-parse --short HEAD), $$(nproc) cores"; \
		HYPOTHESIS_PROFILE=nightly $(BIN)/pytest -q --timeout 1800 --durations 20 -m "long or hypothesis"; \
		} | tee $(LONG_RESULTS)

check: $(STAMP)  ## What must hold before a change lands: format, lint, types, generated code, tests
	@echo "== Format and lint"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@echo "== Types"
	@$(BIN)/mypy
	@$(MAKE) --no-print-directory generated
	@$(MAKE) --no-print-directory test

generated: $(STAMP)  ## Check that generated code and tables are current
	@echo "== Generated code is current"
	@$(BIN)/python scripts/generate.py --check
	@$(BIN)/python scripts/decision_table.py --check
	@$(BIN)/python scripts/observability_tables.py --check
	@$(BIN)/python scripts/zitadel_catalogue.py --check

format: $(STAMP)  ## Format and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP)  ## Measure: deliveries, publishing, start, memory (about ten minutes)
	@$(BIN)/python -m benchmarks

generate: $(STAMP)  ## Make src/outrider_api, docs/reference and tables in docs from their sources again; works offline
	@$(BIN)/python scripts/generate.py
	@PYTHONPATH=scripts $(BIN)/python -m reference.commands docs/reference
	@PYTHONPATH=scripts $(BIN)/python -m reference.error_page docs/reference
	@$(BIN)/python scripts/decision_table.py
	@$(BIN)/python scripts/observability_tables.py
	@$(BIN)/python scripts/zitadel_catalogue.py

constraints: $(STAMP)  ## Write down the versions that are installed now
	@$(BIN)/python -m pip freeze --exclude-editable --exclude pip --exclude setuptools > constraints.txt

clean:  ## Remove what setting up and testing left in this directory
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): $(SOURCES)
	@command -v $(PYTHON) >/dev/null || { echo "outrider needs Python 3.11 or newer: install it, or name it with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "outrider needs Python 3.11 or newer; $$($(PYTHON) --version) was found. Name another with PYTHON=..."; exit 1; }
	@echo "== Setting up $(VENV) with $$($(PYTHON) --version) (about a minute, once)"
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(TMPDIR)
	@PIP_CACHE_DIR=$(CURDIR)/$(VENV)/cache $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt -e packages/receiver -e '.[dev,generate]'
	@rm -rf $(VENV)/cache
	@touch $@
