# Every word does all of its own set-up. What it needs: make, and any Python from 3.11 on.
# `make PYTHON=/path/to/python3.12 run` picks one.

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin

# A stamp is named after what it was made from, so a changed lock is noticed whatever the clocks say.
RUN_KEY := $(shell cat pyproject.toml requirements-build.lock requirements.lock | cksum | tr -d ' ')
DEV_KEY := $(shell cat pyproject.toml requirements-build.lock requirements-dev.lock | cksum | tr -d ' ')
RUN_STAMP := $(VENV)/run-$(RUN_KEY)
DEV_STAMP := $(VENV)/dev-$(DEV_KEY)

PIP := $(BIN)/python -m pip --disable-pip-version-check
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	$(if $(UPGRADE),--upgrade) --custom-compile-command "make lock"

.PHONY: help run test test-slow test-interop test-clients check bench bench-check docs lock clean

help: ## What the words are
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUN_STAMP) ## Start the gateway in front of a small real service (http://localhost:8000)
	@exec $(BIN)/python -m gateway demo

test: $(DEV_STAMP) ## The whole suite, without the slow part
	@$(BIN)/python -m pytest -n auto --dist worksteal

test-slow: $(DEV_STAMP) ## The slow part: large bodies, kill -9, load
	@$(BIN)/python -m pytest -m "slow and not interop" --timeout=600

test-interop: $(DEV_STAMP) ## With clients, issuers and proxies of others (needs Node.js, nginx, Caddy)
	@$(BIN)/python -m pytest -m interop tests/interop --timeout=300

test-clients: $(DEV_STAMP) ## The suites of requests and httpx, direct and through the gateway (minutes)
	@PYTHONPATH=tests:. $(BIN)/python tests/clients/run.py

check: $(DEV_STAMP) ## Format, lint, types, floors, generated pages
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python docs/generate.py --check

bench: $(DEV_STAMP) ## CPU per request beside nginx, HAProxy and Caddy (needs them, and wrk)
	@$(BIN)/python -m bench.plain $(PLAIN)
	@$(BIN)/python -m bench.run $(BENCH)
	@$(BIN)/python -m bench.trail $(TRAIL)
	@$(BIN)/python -m bench.tokens $(TOKENS)
	@$(BIN)/python -m bench.encryption $(ENCRYPTION)

bench-check: $(RUN_STAMP) ## What a request costs, against the recorded baseline; BENCH=--record: record it
	@$(BIN)/python -m bench.check $(BENCH)

docs: $(DEV_STAMP) ## Write docs/reference and schemas from the code
	@$(BIN)/python docs/generate.py

lock: ## Lock what pyproject.toml asks for; UPGRADE=1: in the newest versions (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv on the PATH" >&2; exit 1; }
	@$(COMPILE) pyproject.toml -o requirements.lock
	@$(COMPILE) --group build -c requirements.lock -o requirements-build.lock
	@$(COMPILE) pyproject.toml --group dev -c requirements.lock -c requirements-build.lock -o requirements-dev.lock

clean: ## Remove what make made (never ./data)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Debian splits `venv` from Python; without it `python3 -m venv` leaves half a directory behind.
$(VENV)/bin/python:
	@set -e; \
	for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
		echo "No Python from 3.11 on was found ($(or $(PYTHON),python3 on the PATH)). Install one, or name it:" \
			"make PYTHON=/path/to/python3.12 ..." >&2; exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
		echo "$$found has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" --version) ..."; \
	rm -rf $(VENV); "$$found" -m venv $(VENV)

$(RUN_STAMP): | $(VENV)/bin/python
	@echo "Installing the locked dependencies into $(VENV) ..."
	@$(PIP) install --quiet --require-hashes -r requirements-build.lock -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/run-*; touch $@

$(DEV_STAMP): | $(RUN_STAMP)
	@echo "Installing the locked development dependencies into $(VENV) ..."
	@$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@rm -f $(VENV)/dev-*; touch $@
