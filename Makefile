# make book [PROFILE=quick|published|smoke|medium|full] [DATA=sim|path.h5]   make test   make lab   make lint
# Each sets up a virtual environment in .venv when there is none or the locked packages changed.

PROFILE ?= quick
DATA ?= sim
PYTHON ?= python3
VENV ?= .venv
# Tests at a time.
WORKERS ?= 2
# Options of pip for PyTorch alone, such as: make book TORCH="--index-url URL-OF-CPU-BUILDS"
TORCH ?=

BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_TEST := $(VENV)/.ready-test
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: book test lab lint venv lock
.DEFAULT_GOAL := book

book: $(READY)
	$(BIN)/avvp book build --profile $(PROFILE) --data $(DATA) $(OPTIONS)

# Processes of one thread; the tests of a file share one, and the books, which take longest, are first.
test: $(READY_TEST)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
	  --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lab: $(READY)
	$(BIN)/jupyter lab --notebook-dir=.

venv: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	@echo "Setting up $(VENV): some minutes, once"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install $(TORCH) --constraint requirements.lock torch
	$(PIP) install --no-deps --requirement requirements.lock
	$(PIP) install --no-deps --editable .
	@# A Python file of notebooks/ opens as what it is.
	@mkdir -p $(VENV)/share/jupyter/lab/settings
	@echo '{"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"python": "Jupytext Notebook"}}}' > $(VENV)/share/jupyter/lab/settings/overrides.json
	@touch $@

# Other tools for sound events, and Ray: 700 MB, and one part is compiled. Tests compare with the ones
# and start the other; nobody who reads or trains on one machine needs them.
$(READY_TEST): $(READY) requirements-test.lock
	$(PIP) install --no-deps --requirement requirements-test.lock
	@touch $@

# Pins what is installed now; CONTRIBUTING.md says when. CUDA packages come with PyTorch where it
# wants them, so the same file serves machines with and without a GPU. What requirements-test.lock
# names stays there.
lock: $(READY_TEST)
	$(BIN)/python -m pip freeze --all --exclude-editable \
	  | sed -E 's/^(torch==[^+]*)\+.*/\1/; /^(nvidia|cuda|triton|pip==)/d' \
	  | awk -F== 'NR == FNR { apart[$$1]; next } \
	      { print > (($$1 in apart ? "requirements-test" : "requirements") ".lock.part") }' \
	      requirements-test.lock -
	mv requirements.lock.part requirements.lock
	mv requirements-test.lock.part requirements-test.lock
