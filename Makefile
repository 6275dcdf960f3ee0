# Every target sets up what it needs; nothing asks for anything.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
LAKE_READY := .venv-lake/ready
IN_GROUPS := -n 2 --no-loadscope-reorder
ON_LAKES := MRS_TEST_LAKES=1 .venv-lake/bin/python -m pytest $(IN_GROUPS)
export MRS_HOME ?= $(CURDIR)/.mrs

.PHONY: demo test test-lake soak soak-lake ui lint format docs bench evaluate evaluate-peers lock clean

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(READY) ## a year of real sales, reports for its last 13 weeks
	$(BIN)/mrs demo

test: $(READY) ## every test but the sweeps, which `make soak` runs
	$(BIN)/python -m pytest $(IN_GROUPS) -m "not sweep"

$(LAKE_READY): requirements-lake.lock pyproject.toml
	$(PYTHON) -m venv .venv-lake
	.venv-lake/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-lake.lock
	.venv-lake/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

test-lake: $(LAKE_READY) ## the same promises in a lake and over workers; needs PostgreSQL
	$(ON_LAKES) -m "lake and not sweep"

soak-lake: $(LAKE_READY) ## every log and every kind of file in a lake; needs PostgreSQL
	$(ON_LAKES) -m "lake and sweep"

soak: $(READY) ## the sweeps, then histories, kills, readers and flaps by the thousand; hours: see tests/histories/soak.py
	$(BIN)/python -m pytest $(IN_GROUPS) -m "sweep and not lake"
	$(BIN)/python -m tests.histories.soak

ui: $(READY) ## Dagster's UI with sensors and schedules, on the loopback interface
	$(BIN)/mrs ui

lint: $(READY) ## style, types, and which room may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## write docs/reference from the declarations
	$(BIN)/python -m mrs_assets.reference docs/reference

bench: $(READY) ## measure speed and size
	$(BIN)/python -m benchmarks

evaluate: $(READY) ## how good the models are: writes docs/evaluation
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m evaluation

evaluate-peers: ## the same series through public libraries: writes docs/evaluation/peers
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-peers.lock
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 .venv-peers/bin/python -m evaluation --sections peers --output docs/evaluation/peers

lock: $(READY) ## resolve the dependencies again
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-strip-extras --no-header --python-version 3.11 \
	  --extra demo --extra dev --constraint constraints.in pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-strip-extras --no-header --python-version 3.11 \
	  --extra demo --extra dev --extra peers --constraint requirements.lock pyproject.toml --output-file requirements-peers.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-strip-extras --no-header --python-version 3.11 \
	  --extra demo --extra dev --extra lake --extra workers --constraint requirements.lock pyproject.toml --output-file requirements-lake.lock

clean:
	rm -rf .venv .venv-peers .venv-lake
