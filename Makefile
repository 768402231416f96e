# What a newcomer types: `make demo`, `make test`. Everything is installed into .venv; nothing is written outside this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# -c: exactly the versions of the lock file. No cache and no temporary file outside this folder.
PIP := TMPDIR=$(CURDIR)/$(VENV)/tmp PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-cache-dir -c requirements.lock
UV_CACHE := $(CURDIR)/$(VENV)/uv
UV := UV_CACHE_DIR=$(UV_CACHE) $(BIN)/uv

.PHONY: demo test lint format schemas lock packages bench conformance clients node-tools clean help

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(VENV)/.run  ## the main job on the example job, drawn on this machine, free
	@$(BIN)/hoasi demo

test: $(VENV)/.dev  ## the whole suite
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.dev  ## style, types, floors of the house, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m hoasi.tools --check

format: $(VENV)/.dev  ## let the formatter have its way
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: $(VENV)/.dev  ## write schemas/tools anew (the files beside them are contracts, written by hand)
	$(BIN)/python -m hoasi.tools

lock: $(VENV)/.dev  ## write requirements.lock anew
	$(PIP) uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra packages --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate -q -o requirements.lock

# Needs npm for the bundle's own validator. Claude's takes 360 MB: it is asked where `claude` is installed.
packages: $(VENV)/.packages packages/node_modules/.ready  ## wheel, plugin, bundle, registry entry: built, each checked by its own validator
	rm -rf dist
	$(UV) build --quiet
	for skill in skills/*/SKILL.md; do $(BIN)/agentskills validate $$(dirname $$skill) || exit 1; done
	$(BIN)/skillsaw lint --strict --quiet .
	mkdir dist/mcpb
	tar -xzf dist/hoasi-*.tar.gz --strip-components 1 -C dist/mcpb
	cp packages/mcpb/manifest.json dist/mcpb
	packages/node_modules/.bin/mcpb validate dist/mcpb/manifest.json
	packages/node_modules/.bin/mcpb pack dist/mcpb dist/hoasi.mcpb > dist/mcpb.txt
	if command -v claude > /dev/null; then claude plugin validate .; else echo "claude is not installed: its own validator was not asked"; fi
	UV_CACHE_DIR=$(UV_CACHE) $(BIN)/python -m pytest -m packages tests/packages

bench: $(VENV)/.dev  ## measure (numbers: bench/README.md)
	$(BIN)/python bench/batch.py
	$(BIN)/python bench/start.py

conformance: $(VENV)/.run conformance/node_modules/.ready  ## the MCP conformance suites and the Inspector (needs npm)
	$(BIN)/python conformance/run.py

node-tools: packages/node_modules/.ready conformance/node_modules/.ready  ## what both need from npm

%/node_modules/.ready: %/package-lock.json
	npm ci --prefix $* --cache $(VENV)/npm --ignore-scripts --no-audit --no-fund --silent
	@touch $@

clients: $(VENV)/.run clients/node_modules/.ready  ## a whole job in real MCP clients, 15 minutes; ARGS="--quick codex" (needs npm and 1.4 GB)
	$(BIN)/python clients/run.py $(ARGS)

$(VENV)/.run: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hoasi needs Python 3.11 or newer: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@mkdir -p $(VENV)/tmp
	@echo "Installing into $(VENV) ..."
	@$(PIP) -e '.[media]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Installing what tests need ..."
	@$(PIP) -e '.[dev]'
	@touch $@

$(VENV)/.packages: $(VENV)/.dev
	@echo "Installing what packages are built with ..."
	@$(PIP) -e '.[dev,packages]'
	@touch $@

clean:  ## forget .venv and caches (never jobs)
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache build dist packages/node_modules conformance/node_modules clients/node_modules
