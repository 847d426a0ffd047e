# Everything runs from .venv, which `make setup` builds from uv.lock; nothing else is installed anywhere.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
UV_VERSION := 0.13.8
BIN := .venv/bin
UV := UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv
ENGINE_EXTRAS := --extra operator --extra worker
RUN_EXTRAS := $(ENGINE_EXTRAS) --extra local
PYTEST ?= $(BIN)/pytest
WORKERS ?= 2
# What the extension modules are built from; tool.uv.cache-keys in pyproject.toml names the same.
CORE := setup.py tools/build_backend.py $(wildcard workers/tradeplane_engine/core/*.py workers/tradeplane_engine/core/*.pxd)

.PHONY: help engine setup setup-dev demo test test-unit test-integration test-cluster verify generate golden campaign-engine chaos mutate format clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

engine: .venv/.engine ## Install the engine alone into .venv: backtests and sweeps, which need no server

setup: .venv/.run ## Install what the demo needs into .venv, and the control-plane binaries into the user's cache

demo: setup ## Run the main job: apply, train, trade 250 sessions, halt, lift, report
	$(BIN)/tradeplane demo

test: setup-dev ## Run all tests (15 minutes at most with a warm cache)
	$(PYTEST) -n $(WORKERS) tests

test-unit: setup-dev ## Run the tests that need no server
	$(PYTEST) -n $(WORKERS) tests/unit tests/golden

test-integration: setup-dev ## Run the tests on real PostgreSQL, Valkey, Ray and the simulator
	$(PYTEST) -n $(WORKERS) tests/contract tests/conformance tests/integration

test-cluster: setup-dev ## Run the tests on a real API server
	$(PYTEST) -n $(WORKERS) tests/cluster

verify: setup-dev ## Check what is generated, formatted, typed and layered
	$(UV) lock --check --quiet
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/generate_crds.py --check

generate: setup-dev ## Write the generated files anew
	$(BIN)/python tools/generate_crds.py

golden: setup-dev ## Show in words where golden scenarios differ from what the engine does; WRITE=yes takes it as right
	$(BIN)/python tools/golden.py $(if $(WRITE),--write)

campaign-engine: setup-dev ## Run the engine against vectorbt and backtrader on many random strategies
	$(BIN)/python tools/campaign_engine.py $(if $(SEEDS),--seeds $(SEEDS))

chaos: setup-dev ## Let everything fail around gateways that trade, seed after seed; goes on where it stopped (SEEDS=)
	$(BIN)/python tools/chaos.py $(if $(SEEDS),--seeds $(SEEDS)) --summary benchmarks/CHAOS.md

mutate: setup-dev ## Change the core one step at a time and ask the tests whether they notice (MODULES="ledger order")
	$(BIN)/python tools/mutate.py $(MODULES)

format: setup-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what runs leave behind in the checkout (not the caches of the user)
	rm -rf .tradeplane .venv build *.egg-info

setup-dev: .venv/.dev

.venv/.uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	touch $@

.venv/.engine: .venv/.uv pyproject.toml uv.lock $(CORE)
	$(UV) sync --locked --quiet --inexact --compile-bytecode $(ENGINE_EXTRAS)
	@$(BIN)/python -c "from tradeplane_engine import core; core.compiled() or print('The engine runs interpreted: no C compiler or no Python headers were found.')"
	touch $@

.venv/.run: .venv/.asked .venv/.engine
	$(UV) sync --locked --quiet --inexact --compile-bytecode $(RUN_EXTRAS)
	$(BIN)/python -m tradeplane_cli.local.binaries
	touch $@

.venv/.asked:
	$(PYTHON) operator/tradeplane_cli/local/preflight.py
	mkdir -p .venv && touch $@

.venv/.dev: .venv/.run
	$(UV) sync --locked --quiet --inexact --compile-bytecode $(RUN_EXTRAS) --extra dev
	touch $@
