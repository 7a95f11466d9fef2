# Every target sets up what it needs in .venv by itself; `make help` lists them.
PYTHON   ?= python3
VENV     := .venv
BIN      := $(VENV)/bin
# Using it takes a few packages, developing it many: `make demo` does not wait for those.
USE      := $(VENV)/.installed
DEVELOP  := $(VENV)/.installed-for-development
JOB      ?= examples/invites/job.yaml
ARGS     ?=
SPEC     ?= spec
# Percent of branches that the whole suite must reach; a part of it (ARGS=tests/limits) is not judged.
COVERAGE := 95
# Most tests wait for processes and clocks, so a core serves two of them.
WORKERS  ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')
PIP      := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install demo run simulate test lint format types layers check package catalog bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(USE): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "clerk-batch needs Python 3.11 or newer; set PYTHON=python3.x")'
	@echo 'setting up $(VENV) (once)'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --editable .
	@touch $@

$(DEVELOP): $(USE)
	@echo 'adding the tools of development (once)'
	@$(PIP) install --group dev
	@touch $@

install: $(DEVELOP) ## set up .venv with everything that development needs

demo: $(USE) ## plan, run, kill and resume the example invitations against the simulator
	@$(BIN)/python examples/invites/demo.py

run: $(USE) ## run a job file: make run JOB=file ARGS="--yes"
	@$(BIN)/clerk-batch run $(JOB) $(ARGS)

simulate: $(USE) ## start the simulator: make simulate ARGS="--users 1000"
	@$(BIN)/clerk-batch simulate $(ARGS)

test: $(DEVELOP) ## run the tests with branch coverage
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term $(if $(ARGS),,--cov-fail-under=$(COVERAGE)) $(ARGS)

lint: $(DEVELOP) ## check style and formatting
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(DEVELOP) ## put every file into the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(DEVELOP) ## check the types with mypy and pyright
	$(BIN)/mypy
	$(BIN)/mypy examples
	$(BIN)/pyright

layers: $(DEVELOP) ## check that imports only point down
	$(BIN)/lint-imports

check: lint types layers test package ## all that CI runs

package: $(DEVELOP) ## build wheel and source distribution into dist, check them, and exercise them in a fresh environment
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*
	$(BIN)/python tests/packaging/exercise.py dist

catalog: $(DEVELOP) ## compile the OpenAPI documents: make catalog SPEC=folder
	$(BIN)/python -m clerk_jobs.catalog.compile $(SPEC)

bench: $(DEVELOP) ## run the benchmarks (half an hour) and write tests/benchmarks/RESULTS.md and EXPORTS.md
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/run.py
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/limits.py $(ARGS)
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/exports.py

clean: ## remove what the targets made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
