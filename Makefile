# You need Python 3.11 or newer, make and git. `make test PYTHON=python3.13` uses another Python.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

WHEEL := build/wheel

.PHONY: quickstart test lint hooks slow docs wheel base-check wheel-check browser clean

quickstart: $(VENV)/.ready
	$(BIN)/aligncat quickstart

test: $(VENV)/.ready lint
	ALIGNCAT_ARTEFACTS=$(CURDIR)/test-artefacts $(BIN)/python -m pytest

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Install the checks of .pre-commit-config.yaml, which then run before each commit in this clone.
hooks: $(VENV)/.ready
	$(BIN)/pre-commit install

slow: $(VENV)/.ready
	$(BIN)/python -m pytest -m slow

# Build the documentation site in build/site. A broken link or an unknown name is an error.
docs: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Build the wheel and install it without extras into its own environment, for the two checks below.
wheel:
	rm -rf $(WHEEL)
	$(PYTHON) -m venv $(WHEEL)
	$(WHEEL)/bin/python -m pip wheel --quiet --no-deps --wheel-dir $(WHEEL)/dist .
	$(WHEEL)/bin/python -m pip install --quiet --constraint constraints.txt $(WHEEL)/dist/*.whl

base-check: wheel
	$(WHEEL)/bin/python tests/installed/import_every_module.py
	$(WHEEL)/bin/aligncat --help

wheel-check: wheel
	$(WHEEL)/bin/python tests/installed/ground_a_picture.py

# Install Chromium for the tests of the report page. For Debian and Ubuntu, as root; elsewhere install both by hand.
browser:
	apt-get update
	apt-get install --yes --no-install-recommends chromium chromium-driver

# On Linux, set PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu to get the CPU build of torch.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build aligncat-quickstart test-artefacts
