# The only tools needed: Python 3.11, make and git.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test lint slow browser clean

quickstart: $(VENV)/.ready
	$(BIN)/aligncat quickstart

test: $(VENV)/.ready lint
	ALIGNCAT_ARTEFACTS=$(CURDIR)/test-artefacts $(BIN)/python -m pytest

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

slow: $(VENV)/.ready
	$(BIN)/python -m pytest -m slow

# The tests of the report page open it in a real Chromium. Debian and Ubuntu, as root; elsewhere install both by hand.
browser:
	apt-get update
	apt-get install --yes --no-install-recommends chromium chromium-driver

# constraints.txt keeps pip from fetching a CUDA build of torch.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) aligncat-quickstart test-artefacts
