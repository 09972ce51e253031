# The two commands of the README, and what they are made of. Everything happens in .venv; nothing else on the machine is touched.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
READY := .venv/.ready

.PHONY: demo test slow bench accuracy check format docs dist clean

# The main job on real data: train, then score the test part. It needs the package alone, without the tools of developers.
demo: $(INSTALLED)
	$(BIN)/mmtrain fit configs/emoji.yaml
	$(BIN)/mmtrain evaluate emoji

# All checks and tests.
test: check
	$(BIN)/python -m pytest

# Every benchmark; `make bench QUICK=1` for a smoke run. Results: runs/benchmarks/*.json.
bench: $(READY)
	$(BIN)/python benchmarks/all.py $(if $(QUICK),--quick)

# The tests that take minutes.
slow: $(READY)
	$(BIN)/python -m pytest -m slow

# The model that defaults give, next to gradient boosting and linear models: benchmarks/results/accuracy.csv.
accuracy: $(READY)
	$(BIN)/python benchmarks/accuracy.py $(if $(QUICK),--quick)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The documentation, to be read without a network: build/site/index.html.
docs: .venv/.docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/site

.venv/.docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch .venv/.docs

# The files of a release, checked: dist/*.whl and dist/*.tar.gz.
dist: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[release]'
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

# Made again when the versions or the dependencies change.
$(INSTALLED): constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "mmtrain needs Python 3.11 to 3.13; set PYTHON=python3.12, say.")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $(INSTALLED)

$(READY): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
