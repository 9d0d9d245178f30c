# Every target sets up what it needs. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data/hillstrom.csv.gz
STARBUCKS ?= ../shared/data/starbucks
# More arguments for pytest: make test ARGS='tests/house -x'
ARGS ?=
BENCH ?=
SOAK ?=
# Processes that share the tests, a file to each in turn (`JOBS=0`: one process, as a debugger wants it).
JOBS ?= auto
# Servers are started by the hundred in the tests: let Python keep what it compiled, whatever the shell says.
export PYTHONDONTWRITEBYTECODE :=
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check lint types imports proto proto-check docs docs-check bank hillstrom hillstrom-if-there loyalty loyalty-if-there train-hillstrom spark bench bench-peers soak loops profile lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

setup: $(VENV)/.installed ## Make .venv from requirements.lock (uv if present, else venv + pip)

$(VENV)/.installed: requirements.lock pyproject.toml
	@PYTHON=$(PYTHON) VENV=$(VENV) bash .ci/setup
	@touch $@

demo: setup ## Run a simulated shop end to end and print what came out (under 90 s)
	@$(BIN)/python -m liftgate.demo

serve: setup ## Serve the demo's bundle with an embedded store until Ctrl-C
	@$(BIN)/python -m liftgate.demo --keep

test: setup ## Run every test (ARGS='...' goes to pytest)
	@[ -f "$(DATA)" ] || printf '\033[33m!! $(DATA) is not there: the tests on real customers will be SKIPPED (DATA=... names it)\033[0m\n'
	@LIFTGATE_TEST_DATA="$(DATA)" LIFTGATE_TEST_STARBUCKS="$(STARBUCKS)" $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: lint types imports proto-check docs-check bank hillstrom-if-there loyalty-if-there test ## Everything CI runs

lint: setup ## ruff: rules and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: setup ## mypy, strict
	@$(BIN)/mypy

imports: setup ## import-linter: imports point down only
	@$(BIN)/lint-imports

proto: setup ## Regenerate src/liftgate/v1 from protos/
	@$(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=src --pyi_out=src --grpc_python_out=src protos/liftgate/v1/*.proto

proto-check: setup ## buf lint, buf breaking, and no drift between protos/ and src/liftgate/v1
	@BIN=$(BIN) bash .ci/proto-check

docs: setup ## Regenerate the generated pages of docs/
	@$(BIN)/python -m liftgate.app.configuration > docs/configuration.md
	@$(BIN)/liftgate bundle schema > docs/bundle-schema.json
	@$(BIN)/liftgate bundle schema --tests > docs/bundle-tests-schema.json

docs-check: setup ## Generated docs are current, links lead somewhere, examples in docs run
	@$(BIN)/python .ci/docs_check.py

bank: setup ## Rules of a bank end to end: review, four eyes, a stop, a withdrawal, and the proof
	@$(BIN)/python examples/bank/run.py

hillstrom: setup ## Decide for 64,000 real customers and value the policy (DATA=file.csv.gz)
	@$(BIN)/python examples/hillstrom/run.py --data "$(DATA)"

hillstrom-if-there: setup
	@if [ -f "$(DATA)" ]; then $(MAKE) --no-print-directory hillstrom; else printf '\033[33m!! $(DATA) is not there: make hillstrom SKIPPED\033[0m\n'; fi

loyalty: setup ## A loyalty programme's real log through the API, and a decision for each of 17,000 members (STARBUCKS=folder)
	@$(BIN)/python examples/loyalty/run.py --data "$(STARBUCKS)"

loyalty-if-there: setup
	@if [ -d "$(STARBUCKS)" ]; then $(MAKE) --no-print-directory loyalty; else printf '\033[33m!! $(STARBUCKS) is not there: make loyalty SKIPPED\033[0m\n'; fi

train-hillstrom: $(VENV)-train/.installed ## Train the example's models anew (own environment, requirements-train.lock)
	@$(VENV)-train/bin/python examples/hillstrom/train.py --data "$(DATA)"

$(VENV)-train/.installed: requirements-train.lock pyproject.toml
	@PYTHON=$(PYTHON) VENV=$(VENV)-train LOCK=requirements-train.lock bash .ci/setup
	@touch $@

spark: $(VENV)-spark/.installed ## Hold Spark and ClickHouse to DuckDB (own environment, requirements-spark.lock; Spark needs Java 17)
	@$(VENV)-spark/bin/python -m pytest tests/engines $(ARGS)

$(VENV)-spark/.installed: requirements-spark.lock pyproject.toml
	@PYTHON=$(PYTHON) VENV=$(VENV)-spark LOCK=requirements-spark.lock bash .ci/setup
	@touch $@

bench: setup ## Measure every goal of docs/performance.md on a machine that nothing else uses (under 20 minutes; BENCH='--quick')
	@$(BIN)/python -m tests.bench $(BENCH)

bench-peers: setup $(foreach peer,bentoml fastapi mlserver,.venv-peers/$(peer)/.installed) ## The same decision by FastAPI, BentoML and a model server, beside Liftgate (own environments, 530 MB)
	@$(BIN)/python -m tests.bench.peers $(BENCH)

.venv-peers/%/.installed: tests/bench/peers/%.lock
	@PYTHON=$(PYTHON) VENV=.venv-peers/$* LOCK=$< EDITABLE=no bash .ci/setup
	@touch $@

soak: setup ## Ten minutes at half load with reloads, sealing and scrapes: longest pause, memory, what a reload adds
	@$(BIN)/python -m tests.bench.soak $(SOAK)

loops: setup ## Service, log and answer held to known truths, 500 runs each, as a table (minutes; make test runs 24 each)
	@$(BIN)/python -m tests.loop

profile: setup ## CPU of each stage and flame graphs (own sampler, py-spy) at 1, 8, 32 and 64 in flight, into bench/results/profile
	@$(BIN)/python -m tests.bench.stages --batch 1 8 32 64 --flame bench/results/profile
	@if $(MAKE) --no-print-directory $(VENV)-profile/.installed; then \
	  $(BIN)/python -m tests.bench.spy --py-spy $(VENV)-profile/bin/py-spy --out bench/results/profile; \
	else printf '\033[33m!! py-spy could not be installed: its flame graphs SKIPPED\033[0m\n'; fi

$(VENV)-profile/.installed: requirements-profile.lock
	@$(PYTHON) -m venv $(VENV)-profile
	@$(VENV)-profile/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-profile.lock
	@touch $@

lock: ## Pin every dependency anew with its hashes (needs uv and the network)
	@$(LOCK) --extra embedded --extra otlp --extra offline --extra measure --extra dev pyproject.toml -o requirements.lock
	@$(LOCK) --extra train -c requirements.lock pyproject.toml -o requirements-train.lock
	@$(LOCK) --extra embedded --extra measure --extra dev --extra engines -c requirements.lock pyproject.toml -o requirements-spark.lock
	@echo py-spy | $(LOCK) - -o requirements-profile.lock

clean: ## Remove environments, caches and everything generated outside git
	@rm -rf $(VENV) $(VENV)-train $(VENV)-spark $(VENV)-profile .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .liftgate build dist bench/results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
