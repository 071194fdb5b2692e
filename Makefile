# The README's commands. Each sets up .venv when it is missing or older than what it is made from.
PYTHON ?= python3
ENV ?= navigation-2d
ARGS ?=

BIN := .venv/bin
STAMP := .venv/.made

.PHONY: setup train test lint bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt Makefile
	@command -v $(PYTHON) >/dev/null || { echo "there is no $(PYTHON) here: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "maml_rl needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

train: setup
	@$(BIN)/python -m maml_rl.train --env $(ENV) $(ARGS)

test: setup
	$(BIN)/python -m pytest $(ARGS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

bench: setup
	@for name in sampling outer_step iteration scaling; do $(BIN)/python -m benchmarks.$$name $(ARGS) || exit; done

clean:
	rm -rf .venv
