# You need Python 3.11 or newer, make and git. `make test PYTHON=python3.13` uses another Python.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

# The index to take torch from, such as https://download.pytorch.org/whl/cpu. Empty: PyPI, whose Linux build comes with
# CUDA (5 GB).
TORCH_INDEX ?=
TORCH_FIRST = $(if $(TORCH_INDEX),$(1)/python -m pip install --quiet --constraint constraints.txt --index-url $(TORCH_INDEX) torch)

# The number of test processes. `make test WORKERS=`: the tests run one after another in one process.
WORKERS ?= 2
IN_PARALLEL = $(if $(WORKERS),-n $(WORKERS) --dist worksteal)

WHEEL := build/wheel

.PHONY: quickstart smoke test lint hooks slow bench docs wheel base-check wheel-check browser clean announce release dist label-studio

quickstart: $(VENV)/.ready
	$(BIN)/aligncat quickstart

# The whole path once, on a few drawings: data, extract, train, evaluate, ground, report.
smoke: $(VENV)/.ready
	@echo "smoke: takes less than 90 seconds on two cores"
	PATH=$(CURDIR)/$(BIN):$$PATH tests/smoke.sh build/smoke

test: announce $(VENV)/.ready lint
	$(if $(WORKERS),OMP_NUM_THREADS=1) ALIGNCAT_ARTEFACTS=$(CURDIR)/test-artefacts $(BIN)/python -m pytest $(IN_PARALLEL)

announce:
	@echo "make test: style, types and all fast tests take about 10 minutes on two cores (make smoke: 90 seconds)"

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Install the checks of .pre-commit-config.yaml, which then run before each commit in this clone.
hooks: $(VENV)/.ready
	$(BIN)/pre-commit install

slow: $(VENV)/.ready
	$(BIN)/python -m pytest -m slow

# Write docs/performance.md from benchmarks/results/*.json, which the benchmarks write with --out.
bench: $(VENV)/.ready
	$(BIN)/python docs/make_performance.py

# Build the documentation site in build/site. A broken link or an unknown name is an error.
docs: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Build the wheel and install it without extras into its own environment, for the two checks below.
wheel:
	rm -rf $(WHEEL)
	$(PYTHON) -m venv $(WHEEL)
	$(call TORCH_FIRST,$(WHEEL)/bin)
	$(WHEEL)/bin/python -m pip wheel --quiet --no-deps --wheel-dir $(WHEEL)/dist .
	$(WHEEL)/bin/python -m pip install --quiet --constraint constraints.txt $(WHEEL)/dist/*.whl

base-check: wheel
	$(WHEEL)/bin/python tests/installed/import_every_module.py
	$(WHEEL)/bin/aligncat --help

wheel-check: wheel
	$(WHEEL)/bin/python tests/installed/ground_a_picture.py

# Commit, tag, build and check a version, without publishing it: make release VERSION=0.2.0. See docs/release.md.
release: $(VENV)/.ready
	@test -n "$(VERSION)" || { echo "say which version: make release VERSION=0.2.0" >&2; exit 1; }
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python release/make_release.py $(VERSION)

# Build and check the wheel and the sdist of this checkout in dist/.
dist: $(VENV)/.ready
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python release/make_release.py

# Install Label Studio into an environment of its own, for tests/serving/label_studio/test_real_label_studio.py.
label-studio:
	$(PYTHON) -m venv build/label-studio
	build/label-studio/bin/python -m pip install --quiet 'label-studio==1.23.2'

# Install Chromium for the tests of the report and of the page. For Debian and Ubuntu, as root; elsewhere install both by hand.
browser:
	apt-get update
	apt-get install --yes --no-install-recommends chromium chromium-driver

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(call TORCH_FIRST,$(BIN))
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build aligncat-quickstart test-artefacts
