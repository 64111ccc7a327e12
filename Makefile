# The only tools needed: Python 3.11 or newer, make and git. `make test PYTHON=python3.13` takes another Python.
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

# Run the checks of .pre-commit-config.yaml before each commit of this clone.
hooks: $(VENV)/.ready
	$(BIN)/pre-commit install

slow: $(VENV)/.ready
	$(BIN)/python -m pytest -m slow

# The site of the documentation, in build/site. A broken link or an unknown name in it is an error.
docs: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The wheel, installed without extras into an environment of its own. The two checks below use it.
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

# The tests of the report page open it in a real Chromium. Debian and Ubuntu, as root; elsewhere install both by hand.
browser:
	apt-get update
	apt-get install --yes --no-install-recommends chromium chromium-driver

# On Linux, add `PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu` for the CPU build of torch.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build aligncat-quickstart test-artefacts
