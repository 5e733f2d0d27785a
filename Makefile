# Everything a person needs: `make demo` and `make test` install what is missing and run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MANIFEST := dbt/target/manifest.json

.PHONY: help install browser demo test lint types check lock manifest refusals fair-housing clean

help:
	@echo "make demo     install what is missing and run everything against the sandbox"
	@echo "make test     install what is missing and run every test"
	@echo "make check    lint, types, import direction, definitions"
	@echo "make lock     pin the dependencies again (needs uv)"
	@echo "make fair-housing train what tells forbidden preferences again after its sentences or its code changed"
	@echo "make refusals train the model of refusals again after its sentences or its code changed"

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("leadpipe needs Python 3.11 to 3.13, this is " + sys.version.split()[0] + "; set PYTHON=python3.11") if not (3, 11) <= sys.version_info[:2] < (3, 14) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

$(MANIFEST): $(STAMP) $(shell find dbt -name '*.sql' -o -name '*.yml' 2>/dev/null | grep -v target)
	$(BIN)/python -m leadpipe.cli.manifest

install: $(STAMP) $(MANIFEST)

manifest: $(MANIFEST)

# The page tests drive a browser; Debian's Chromium is installed where root may, otherwise its absence is named.
browser:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if [ -d "/Applications/Google Chrome.app" ] || [ -d "/Applications/Chromium.app" ]; then exit 0; fi; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  (apt-get install -y -qq --no-install-recommends chromium || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium)) >/dev/null; \
	else echo "the page tests need a browser: install Chromium or Chrome" >&2; exit 1; fi

demo: install
	$(BIN)/leadpipe demo $(ARGS)

# Rooms side by side first; then the running system, alone, since its figures are of the clock.
test: install browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/end_to_end $(ARGS)
	$(BIN)/python -m pytest tests/end_to_end $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(STAMP)
	$(BIN)/pyright --pythonpath $(BIN)/python

check: lint types manifest
	$(BIN)/dagster definitions validate -w workspace.yaml

lock:
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --quiet -o requirements.lock

refusals: $(STAMP)
	$(BIN)/python -m leadpipe.conversation.refusal_training

fair-housing: $(STAMP)
	$(BIN)/python -m leadpipe.policy.housing_training

clean:
	rm -rf $(VENV) dbt/target .pytest_cache .ruff_cache
