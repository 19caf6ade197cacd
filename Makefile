# Two commands on a fresh machine with git, make and python3 >= 3.11:
#   make run    the service, with an example page the first time
#   make test   every test, with what the tests need
# uv (https://docs.astral.sh/uv/) is used where it is found; plain venv and pip otherwise.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := .venv-clients
UV := $(shell command -v uv 2>/dev/null)
# Two for each core, from two to six: half of the tests sleep while a process of theirs starts. Each takes neighbouring
# tests, which share servers and what is compiled, until it has none left; then it takes from the others.
PYTEST_WORKERS ?= $(shell n=$$(( 2 * $$(nproc 2>/dev/null || echo 1) )); [ $$n -lt 2 ] && n=2; [ $$n -gt 6 ] && n=6; echo $$n)

# What is compiled is kept, whatever the environment says: a start takes two thirds of the time, and there are hundreds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check bench lock texts services clients

help: ## list what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 14

run: $(VENV)/ready ## run the service on http://127.0.0.1:8000 (PORT and HOST change it)
	@$(BIN)/statuspage serve --init

test: $(VENV)/ready-dev services clients ## run every test: PostgreSQL and a real browser included
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal $(TESTS)

# The laws are looked for in all tests: what pytest compiles for that is there when `make test` starts several of it.
check: $(VENV)/ready-dev ## format, lint, types, the laws of the house
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy & types=$$!; $(BIN)/python -m pytest -q -m laws tests; laws=$$?; wait $$types && exit $$laws

bench: $(VENV)/ready-dev ## run the benchmarks; each prints its figure and its limit
	@for file in $(filter-out benchmarks/crowds.py benchmarks/sinks.py benchmarks/plain_route.py benchmarks/constant.py,$(wildcard benchmarks/*.py)); do \
	  echo "== $$file"; $(BIN)/python -m benchmarks.$$(basename $$file .py) || failed=1; done; exit $${failed:-0}

# The lock files name no package index: they work with every mirror.
lock: ## re-make requirements*.txt from pyproject.toml (needs uv)
	@test -n "$(UV)" || { echo "make lock needs uv: https://docs.astral.sh/uv/"; exit 1; }
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --group pyproject.toml:build pyproject.toml -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --group pyproject.toml:build --group pyproject.toml:dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --group pyproject.toml:clients -o requirements-clients.txt

texts: $(VENV)/ready-dev ## renew the catalogs of translations and compile them; says what is not translated
	@$(BIN)/python -m tests.catalogs

services: $(VENV)/ready-dev
	@$(BIN)/python tests/install_services.py

# Programs of others that read the page; where they can't be installed their tests are skipped by name.
clients:
	@$(MAKE) --no-print-directory $(CLIENTS)/ready || echo "The clients of others could not be installed."

$(CLIENTS)/ready: requirements-clients.txt
	@echo "Installing clients of others into $(CLIENTS) …"
ifdef UV
	@uv venv --quiet --clear --python "$$(command -v $(PYTHON))" $(CLIENTS)
	@uv pip install --quiet --python $(CLIENTS)/bin/python --require-hashes -r requirements-clients.txt
else
	@$(PYTHON) -m venv --clear $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-clients.txt
endif
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "$(PYTHON) is missing or older than 3.11: install Python 3.11 or newer, or name one: make PYTHON=python3.12 …"; exit 1; }
ifdef UV
	@uv venv --quiet --python "$$(command -v $(PYTHON))" $(VENV)
else
	@$(PYTHON) -m venv $(VENV) >/dev/null \
	  || { echo "$(PYTHON) has no venv module: install Debian's python3-venv, or uv (https://docs.astral.sh/uv/)."; rm -rf $(VENV); exit 1; }
endif

# The stamps make a second start quick: nothing is installed unless a list has changed.
$(VENV)/ready: requirements.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the service needs into $(VENV) …"
	@$(call install,requirements.txt)
	@touch $@

$(VENV)/ready-dev: requirements-dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the service and its tests need into $(VENV) …"
	@$(call install,requirements-dev.txt)
	@touch $@ $(VENV)/ready

# Every file is checked against its hash; the package itself is linked, not copied (flit is among the locked).
ifdef UV
define install
uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r $(1) \
  && uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
endef
else
define install
$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1) \
  && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
endef
endif
