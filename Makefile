# `make install test`: what a contributor runs. PYTHON=python3.12 picks another interpreter.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install test lint record docs

install:  ## a virtual environment with the pinned versions and the tools of the tests
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e ".[test]"

test:  ## the fast tests and every notebook; `bash .ci/long` runs the slow ones
	$(BIN)/pytest --nbmake

lint:  ## style, spelling, import layers and types, in seconds
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pytest -n 0 tests/repo

record:  ## execute the notebooks and keep their outputs, about half an hour on two cores
	$(BIN)/ftlib course record

docs:  ## pages and figures that are rendered from code and from results/
	$(BIN)/python benchmarks/render_docs.py
	$(BIN)/python benchmarks/render_results.py
	$(BIN)/ftlib study report
