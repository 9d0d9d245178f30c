# Every target sets up what it needs. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data/hillstrom.csv.gz

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check lint types imports proto proto-check docs-check hillstrom train-hillstrom bench lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

setup: $(VENV)/.installed ## Make .venv from requirements.lock (uv if present, else venv + pip)

$(VENV)/.installed: requirements.lock pyproject.toml
	@PYTHON=$(PYTHON) VENV=$(VENV) bash .ci/setup
	@touch $@
