# make run: set up what is missing, and run the pipeline on the built-in corpus. make help lists the rest.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast test-slow test-all lint bench lock sbom clean

# What `make bench` trains on: a file, a folder or a quoted glob.
CORPUS ?= builtin://wikipedia

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup:  ## prepare .venv, once
	@$(PYTHON) tools/setup_venv.py

run: setup  ## train on the built-in corpus, evaluate, push, and show what was made
	@$(BIN)/python local_runner.py

# How many processes test at once, each with 2 to 5 GB: auto is one per core.
PROCESSES ?= auto

# Each process takes the next file when it has done one, the longest first (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder --durations 40

test: setup  ## every test but the slow ones
	$(PYTEST) -m 'not slow'

# What starts a run, Beam, other processes, a server or a browser, installs packages, or compiles machine code.
NOT_FAST := \
	e2e \
	components/corpus/test_bombs.py \
	components/evaluator/test_gate.py \
	components/infra_validator \
	components/report/test_report.py \
	components/skipgram/test_counting.py \
	components/test_records.py \
	pipeline/kubeflow/rehearsal \
	pipeline/kubeflow/test_client.py \
	pipeline/kubeflow/training_job \
	pipeline/test_bad_inputs.py \
	pipeline/test_beam_workers.py \
	pipeline/test_console.py \
	pipeline/test_following.py \
	pipeline/test_forks.py \
	pipeline/test_local.py \
	pipeline/test_orphans.py \
	pipeline/test_slow_imports.py \
	serving/test_client.py \
	serving/test_command_lines.py \
	serving/test_composed.py \
	serving/test_connections.py \
	serving/test_hostile.py \
	serving/test_local.py \
	serving/test_page.py \
	serving/test_saved_model.py \
	test_forked.py \
	tools/test_supply_chain.py \
	word2vec/training/test_checkpoints.py \
	word2vec/training/test_compiled_steps.py \
	word2vec/training/test_kernel.py \
	word2vec/training/test_training.py

test-fast: setup  ## the units alone, while you work: no run, server, browser or compiling
	$(PYTEST) -m 'not slow' $(NOT_FAST:%=--ignore=tests/%)

test-slow: setup  ## the slow ones: kills, hostile requests, containers, Flink
	$(PYTEST) -m slow

test-all: setup  ## both but the nightly ones, in less time than one after the other
	$(PYTEST) -m 'not nightly'

lint: setup  ## ruff: mistakes, and the format; mypy: the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup  ## measure beside gensim and fastText: make bench CORPUS='reviews/*.gz'
	@TFX_WORD2VEC_EXTRAS=test,lint,kubeflow,bench $(PYTHON) tools/setup_venv.py || echo "fastText could not be installed: left out"
	$(BIN)/python -m benchmarks.bench --corpus '$(CORPUS)'

LOCK := .venv/.setup/tools/bin/uv pip compile --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --quiet

lock: setup  ## renew constraints.txt: the newest versions that fit together, with the hashes of their files
	rm -f constraints.txt
	$(LOCK) setup.py tools/lock.in --override tools/overrides.txt --all-extras --prerelease explicit -o constraints.txt
	$(LOCK) tools/bootstrap.in -o tools/bootstrap.txt

sbom: setup  ## write sbom.json: every package that was installed, as CycloneDX
	@$(BIN)/python tools/sbom.py sbom.json

clean:  ## remove .venv and what runs made
	rm -rf .venv runs
