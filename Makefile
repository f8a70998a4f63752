# Two commands for a newcomer: make demo, make test. Needs Python 3.11 or newer, and nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	&& { echo $$p; break; }; done)

.PHONY: help demo test lint format typecheck pytest bench docs requirements clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.program ## the whole thing on this machine: no cluster, no key, no network
	@$(BIN)/lockgate demo

test: lint typecheck pytest ## everything that must hold

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.test ## put the code in its form
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

typecheck: $(VENV)/.test
	$(BIN)/mypy

pytest: $(VENV)/.test
	$(BIN)/pytest

bench: $(VENV)/.program ## one core of Lockgate against nginx on the same core
	$(BIN)/python bench/proxying.py
	$(BIN)/python bench/streaming.py

docs: $(VENV)/.program ## the generated pages
	$(BIN)/python -m proxy.policy.reference > docs/spec.md

requirements: $(VENV)/.uv ## compile the hashed files from the .in files
	for set in proxy program test; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
		--custom-compile-command 'make requirements' \
		requirements/$$set.in -o requirements/$$set.txt; done

clean: ## the environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install python3"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "venv is missing from this Python: install python3-venv"; exit 2; }

$(VENV)/.program: requirements/program.txt pyproject.toml | $(VENV)/bin/python
	@echo "making the environment in $(VENV) (once, about a minute)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/program.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.program
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@touch $@

$(VENV)/.uv: | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	@touch $@
