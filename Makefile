# Two commands: `make compare` runs the main job on built-in data, `make test` runs the tests.
# Both set up .venv first; a second call sets nothing up again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .venv-peers

.PHONY: compare test quick slow lint stub bench peers models clean

compare: $(READY)
	$(BIN)/manyways compare digits --labels 40 --draw stratified --seeds 3 --report report.html --json results.json

test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

# Formulas, errors, needs, the registry and the pages. Modules without such tests are not even collected.
quick: $(READY)
	$(BIN)/python -m pytest -m quick $$(grep --recursive --files-with-matches --include='test_*.py' 'mark\.quick' tests)

slow: $(READY)
	$(BIN)/python -m pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The types of the public names, after one was added; a test says when.
stub: $(READY)
	$(BIN)/python tools/write_stub.py

bench: $(READY) $(PEERS)/.ready
	$(BIN)/python benchmarks/run.py

peers: $(PEERS)/.ready

# Two pretrained models, 180 MB, that some tests and benchmarks use; those skip where it was not called.
models: $(READY)
	$(BIN)/python tools/fetch_models.py .models

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "manyways needs Python 3.11 or later; this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# What the benchmarks measure against, about 2 GB; apart, so that neither side's versions bind the other's.
$(PEERS)/.ready: benchmarks/peers.txt
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --requirement benchmarks/peers.txt
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) .models
