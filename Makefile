# One-word developer commands; `make` alone lists them.
.PHONY: help setup check unit test full reference migration
PY := .venv/bin/python

help:            ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup:           ## a virtual environment with everything, and the pre-commit hooks
	python3 -m venv .venv
	$(PY) -m pip install --quiet --upgrade 'pip>=25.1'
	$(PY) -m pip install --quiet --group dev --editable '.[server]'
	.venv/bin/pre-commit install

check:           ## ruff, mypy --strict, the import contract
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports --no-logo

unit:            ## tests without I/O
	$(PY) -m pytest tests/unit tests/spec -q -n 2

test:            ## everything, as CI runs it
	./scripts/test

full:            ## the full counts of the slow suites, of which a sample runs otherwise: hours
	STAGE_LIMIT=6h ./scripts/test -m full

reference:       ## write the generated reference pages again
	$(PY) scripts/reference.py

migration:       ## make migration NAME="what changes"
	$(PY) scripts/migration.py "$(NAME)"
