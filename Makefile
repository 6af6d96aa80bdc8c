# Two commands do everything from a bare clone: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= auto
TESTS := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test long hostile check lint types bench bench-llm bench-train bench-loop bench-schedule bench-report bench-scale bench-reach bench-executors bench-function bench-search bench-inherit gpu gpu-headline slurm spawn corpus crash fuzz zoo repeat mutants browser docs docs-commands dist world ray clean

demo: $(STAMP)
	$(BIN)/python -m ge_engine.cli evolve examples/exquisitenet_v2.py --preset demo --random-seed 1 --run runs/demo-$$(date +%Y%m%d-%H%M%S)

test: $(STAMP)
	$(TESTS)

# What takes many seconds and is not in every run; PART=K/N takes a part, as .ci/run does by the commit.
long: $(STAMP)
	$(TESTS) -m long $(if $(PART),--part $(PART))

# The report in a real browser; installs Chromium and Playwright where they are missing.
browser: $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[browser]'
	.ci/browser $(BIN)/python
	$(BIN)/python -m pytest -m browser

# The tests of isolation where a candidate's process is spawned, not forked, as on macOS.
spawn: $(STAMP)
	GE_TEST_START_METHOD=spawn $(TESTS) -m "not gpu" tests/test_spawning.py tests/test_worker.py tests/test_hostile.py tests/test_processes.py tests/test_sandbox.py tests/test_confining.py

# Attacks by modes of confinement as a table, as this user and as nobody, forked and spawned.
hostile: $(STAMP)
	.ci/sandbox
	$(BIN)/python -m benchmarks.hostile

# What needs a CUDA device: training, bfloat16, out of memory, the language model.
gpu: $(STAMP)
	$(BIN)/python -m pytest -m gpu

# What one GPU does with the engine, in 25 minutes: make gpu-headline ARGS="--data cifar10.zip" (or --dry-run).
gpu-headline: $(STAMP)
	$(BIN)/python -m benchmarks.gpu_headline $(ARGS)

# Agents as jobs of a SLURM cluster, which is installed where it is missing and ends with the tests.
slurm: $(STAMP)
	.ci/slurm 3600 $(BIN)/python -m pytest -m slurm $(ARGS) tests/test_slurm.py

check: lint types test

# The documentation as a site in site/; a broken link or reference is an error.
docs: $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[docs]'
	$(BIN)/mkdocs build --strict

# The commands of README and of pages with some that take long; those of the others are part of `make test`.
docs-commands: $(STAMP)
	$(BIN)/python -m pytest -m slow tests/test_docs.py

# Read-only media and full disks, also of other machines, in namespaces of their own (Linux, `unshare`).
world: $(STAMP)
	$(BIN)/python -m pytest -m world tests/test_surroundings.py tests/test_full_machines.py

# Trainings on a Ray cluster of two nodes on this machine, and what becomes of them when parts of it die.
ray: $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[ray]'
	.ci/ray $(BIN)/python $(ARGS)

# Real trainings twice, with one worker and with two: the same figures to the last digit.
repeat: $(STAMP)
	$(BIN)/python -m pytest -m slow tests/test_repeat.py

# Breaks a line of the engine at a time and runs the tests that shall notice; a long while.
mutants: $(STAMP)
	$(BIN)/python -m benchmarks.mutants

# A wheel and an sdist in dist/ that the package index would take.
dist: $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[dist]'
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks.bench_transform

bench-llm bench-train bench-loop bench-schedule bench-report bench-scale bench-reach bench-executors bench-function: $(STAMP)
	$(BIN)/python -m benchmarks.$(subst -,_,$@) $(ARGS)

# Real searches on CIFAR-10, hours of them: make bench-search ARGS="--data cifar10-jpeg.zip".
bench-search: $(STAMP)
	$(BIN)/python -m benchmarks.bench_search $(ARGS)

# Whether inherited trainings rank children alike, hours of trainings, too: it takes the same data.
bench-inherit: $(STAMP)
	$(BIN)/python -m benchmarks.bench_inherit $(ARGS)

corpus crash fuzz: $(STAMP)
	$(BIN)/python -m benchmarks.$@

# Models that nobody here wrote, all or those that are named: make zoo ARGS="files levit".
zoo: $(STAMP)
	$(BIN)/python -m benchmarks.zoo $(ARGS)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet torch torchvision
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
