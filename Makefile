# The README's commands. Each sets up .venv when it is missing or older than what it is made from.
PYTHON ?= python3
ENV ?= navigation-2d
ARGS ?=

BIN := .venv/bin
STAMP := .venv/.made

.PHONY: setup train test lint bench results fuzz soak docs-check package-check test-metaworld clean

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

# A process for each CPU, of one thread. ARGS="-n 0 -k NAME" runs few tests in this one.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal $(ARGS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

bench: setup
	@for name in sampling outer_step iteration omniglot scaling distributed worlds; do $(BIN)/python -m benchmarks.$$name $(ARGS) || exit; done
	$(BIN)/python -m benchmarks.time_to_score --env navigation-2d --score -11.7 $(ARGS)
	$(BIN)/python -m benchmarks.time_to_score --env halfcheetah-dir --score 293.2 $(ARGS)

# The tables and figures of docs/results.md, of the runs that docs/runs/ keeps.
results: setup
	@for name in navigation-2d halfcheetah-dir halfcheetah-vel; do \
		$(BIN)/python -m maml_rl.compare --kept docs/runs/$$name.json --output runs/results/$$name \
			--markdown docs/results.md --figure docs/$$name-algorithms.png || exit; done

# Ten thousand random inputs of every kind that a user gives: none may end in a traceback.
fuzz: setup
	$(BIN)/python -m tests.robustness.fuzz --examples 10000 $(ARGS)

# Every command of README and docs, at a tiny size.
docs-check: setup
	$(BIN)/python -m tests.docs_check

# The wheel, built from the sdist, in a fresh environment outside of the checkout: it trains, evaluates and plots there.
package-check: setup
	$(BIN)/python -m tests.package_check

# Runs that are killed and resumed at random for ARGS="--minutes 30", compared with runs that were not.
soak: setup
	@$(BIN)/python -m tests.robustness.soak $(ARGS)

# Meta-World needs MuJoCo 3.3.0, our own families MuJoCo 4: each has a virtual environment of its own.
METAWORLD := .venv-metaworld

$(METAWORLD)/.made: pyproject.toml constraints.txt Makefile
	$(PYTHON) -m venv --clear $(METAWORLD)
	grep -v '^mujoco' constraints.txt > $(METAWORLD)/constraints.txt
	$(METAWORLD)/bin/pip install --quiet --disable-pip-version-check --constraint $(METAWORLD)/constraints.txt \
		--editable '.[metaworld]'
	@touch $@

# Two iterations of ML1 reach-v3, small ones; the success rate that they report.
test-metaworld: $(METAWORLD)/.made
	rm -rf $(METAWORLD)/run
	$(METAWORLD)/bin/python -m maml_rl.train --config configs/metaworld/ml1-reach.yaml --run-dir $(METAWORLD)/run \
		--iterations 2 --num-tasks 4 --episodes-per-task 2 $(ARGS)
	@$(METAWORLD)/bin/python -c 'import json; \
		rows = [json.loads(line) for line in open("$(METAWORLD)/run/metrics.jsonl")]; \
		assert len(rows) == 2; \
		[print("iteration {iteration}: success rate {success/pre:.2f} -> {success/post:.2f}".format(**row)) for row in rows]'

clean:
	rm -rf .venv $(METAWORLD)
