PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEV    := $(VENV)/.dev

# pip compiles what it installs on one core, this on all. A package may hold a file for a newer Python, which fails.
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --editable
COMPILE := $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true

.PHONY: help demo test pytest lint types docs bench fuzz fuzz-videos kills wheel clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "framebank needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(INSTALL) .
	$(COMPILE)
	touch $(READY)

$(DEV): $(READY)
	$(INSTALL) '.[dev]'
	$(COMPILE)
	touch $(DEV)

demo: $(READY)  ## the whole chain on the embedded default, into demo-out/
	$(BIN)/framebank demo --out demo-out

test: lint types pytest  ## lint, types and every test, in one process more than there are cores, of one thread each

# The tests start many processes, for each of which Python would else compile the package again.
pytest: $(DEV)
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal

kills: $(DEV)  ## kill every command that writes before each thing it does to files: a quarter of an hour
	rm -f build/kills.jsonl
	OMP_NUM_THREADS=1 FRAMEBANK_KILLS=all $(BIN)/python -m pytest -n auto --dist worksteal tests/kills/test_kills.py
	$(BIN)/python -m framebank.tests.kills.totals

lint: $(DEV)  ## ruff, its formatter included
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)  ## mypy, strict
	mkdir -p build/types
	ln -sfn ../.. build/types/framebank
	MYPYPATH=build/types $(BIN)/mypy

docs: $(DEV)  ## the pages of docs/ and the reference as a site, into build/docs/index.html
	rm -rf build/docs build/reference .cache
	mkdir -p build/reference/framebank
	cp -r __init__.py library store extract heads build/reference/framebank
	$(BIN)/zensical build --strict

bench: $(DEV)  ## the measurements behind docs/benchmarks.md
	for script in $$(grep -L -e click.argument $(filter-out %/plot.py,$(wildcard benchmarks/*.py))); do $(BIN)/python $$script || exit 1; done

fuzz: $(DEV)  ## mutated files for every reader, 20,000 of them or CASES=N, and what came of each
	OMP_NUM_THREADS=1 $(BIN)/python -m framebank.tests.fuzz.files --cases $(or $(CASES),20000)

fuzz-videos: $(DEV)  ## mutated videos in one extraction, 400 of them or VIDEOS=N, and what came of each
	$(BIN)/python -m framebank.tests.fuzz.videos --videos $(or $(VIDEOS),400)

wheel: $(READY)  ## build/dist/framebank-*.whl
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/dist .

clean:  ## remove what the other targets made
	rm -rf $(VENV) build demo-out .cache *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
