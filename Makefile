# Every target sets up what it needs in .venv by itself; `make help` lists them.
PYTHON   ?= python3
VENV     := .venv
BIN      := $(VENV)/bin
# Using it takes a few packages, developing it many: `make demo` does not wait for those.
USE      := $(VENV)/.installed
DEVELOP  := $(VENV)/.installed-for-development
SUPPLY   := $(VENV)/.installed-for-supply
JOB      ?= examples/invites/job.yaml
ARGS     ?=
SPEC     ?= spec
# How long the crash torture goes on; SEED=7 makes the choices of an earlier one again.
KILLS    ?= 300
SECONDS  ?= 1800
# Percent of branches that the whole suite must reach; a part of it (ARGS=tests/limits) is not judged.
COVERAGE := 95
# Most tests wait for processes and clocks, so a core serves two of them.
WORKERS  ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')
PIP      := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Versions that were tested together: `make lock` chooses them anew within the ranges of pyproject.toml.
LOCK     := constraints.txt
# Where PYTHONDONTWRITEBYTECODE is set, as in many containers, each of a thousand commands would compile the sources anew.
COMPILE   = $(BIN)/python -m compileall -q jobs limits runner tests/support
UV       := $(BIN)/uv
# The part of the tests that tells within minutes whether other versions of the dependencies will do.
CHEAP    := tests/jobs tests/limits tests/fuzz tests/runner tests/cli
# How long each target is fuzzed, in seconds, and which; all of them unless told otherwise.
FUZZ_S   ?= 60
TARGET   ?=

.DEFAULT_GOAL := help
.PHONY: help install demo run simulate test torture lint format types layers check package picture catalog bench lock audit
.PHONY: test-lowest test-newest fuzz clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(USE): pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "clerk-batch needs Python 3.11 or newer; set PYTHON=python3.x")'
	@echo 'setting up $(VENV) (once)'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --constraint $(LOCK) --editable .
	@$(COMPILE)
	@touch $@

$(DEVELOP): $(USE)
	@echo 'adding the tools of development (once)'
	@$(PIP) install --constraint $(LOCK) --group dev
	@touch $@

$(SUPPLY): $(DEVELOP)
	@echo 'adding the tools that look after the dependencies (once)'
	@$(PIP) install --constraint $(LOCK) --group supply
	@touch $@

install: $(DEVELOP) ## set up .venv with everything that development needs

demo: $(USE) ## plan, run, kill and resume the example invitations against the simulator
	@$(BIN)/python examples/invites/demo.py

run: $(USE) ## run a job file: make run JOB=file ARGS="--yes"
	@$(BIN)/clerk-batch run $(JOB) $(ARGS)

simulate: $(USE) ## start the simulator: make simulate ARGS="--users 1000"
	@$(BIN)/clerk-batch simulate $(ARGS)

test: $(DEVELOP) ## run the tests with branch coverage
	@$(COMPILE)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term $(if $(ARGS),,--cov-fail-under=$(COVERAGE)) $(ARGS)

torture: $(DEVELOP) ## kill jobs of every kind at every step, and resume them: make torture KILLS=300 SECONDS=1800 SEED=7
	@$(COMPILE)
	PYTHONPATH=tests/support $(BIN)/python -m clerk_testing.torture --kills $(KILLS) --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(ARGS)

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

picture: $(DEVELOP) ## draw the README's picture of a terminal from a real run
	PYTHONPATH=tests/support $(BIN)/python tests/pictures/terminal.py docs/terminal.svg

catalog: $(DEVELOP) ## compile the OpenAPI documents: make catalog SPEC=folder
	$(BIN)/python -m clerk_jobs.catalog.compile $(SPEC)

bench: $(DEVELOP) ## run the benchmarks (half an hour) and write its results beside them
	@$(COMPILE)
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/run.py
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/startup.py
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/limits.py $(ARGS)
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/exports.py
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/backfills.py

lock: $(SUPPLY) ## choose the newest versions within the ranges, for every Python, and write them into constraints.txt
	$(UV) pip compile pyproject.toml --group dev --group supply --all-extras --universal --python-version 3.11 --upgrade \
	  --no-header --no-annotate --no-emit-index-url --quiet --output-file $(LOCK)

audit: $(SUPPLY) ## ask the advisory database (over the network) about every version in constraints.txt
	$(BIN)/pip-audit --requirement $(LOCK) --no-deps --disable-pip --strict $(ARGS)

test-lowest: $(SUPPLY) ## run the cheap tests with the lowest versions that pyproject.toml allows
	$(call other,lowest,--resolution lowest-direct)

test-newest: $(SUPPLY) ## run the cheap tests with the newest versions that it allows, whatever is locked
	$(call other,newest,--upgrade)

# A fresh environment beside the locked one: its name, and how uv resolves it.
define other
	$(UV) venv --quiet --clear --python $(BIN)/python .venv-$(1)
	$(UV) pip install --quiet --python .venv-$(1)/bin/python $(2) --editable '.[parquet,zst]' --group dev
	.venv-$(1)/bin/python -m pytest -q -n $(WORKERS) --dist worksteal $(or $(ARGS),$(CHEAP))
endef

fuzz: $(DEVELOP) ## look for bytes that bring a reader down: make fuzz FUZZ_S=600 TARGET=csv
	@$(PIP) install --only-binary :all: --group fuzz
	PYTHONPATH=tests/support $(BIN)/python tests/fuzz/run.py $(FUZZ_S) $(TARGET)

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-lowest .venv-newest .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
