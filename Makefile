# make run: set up what is missing, and run the pipeline on the built-in corpus. make help lists the rest.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup run test lint bench lock clean

# What `make bench` trains on: a file, a folder or a quoted glob.
CORPUS ?= builtin://wikipedia

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup:  ## prepare .venv, once
	@$(PYTHON) tools/setup_venv.py

run: setup  ## train on the built-in corpus, evaluate, push, and show what was made
	@$(BIN)/python local_runner.py

test: setup  ## every test
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: setup  ## ruff
	$(BIN)/ruff check .

bench: setup  ## measure beside gensim and fastText: make bench CORPUS='reviews/*.gz'
	@.venv/.setup/tools/bin/uv pip install --quiet --python $(BIN)/python --override constraints.txt fasttext || echo "fastText could not be installed: left out"
	$(BIN)/python -m benchmarks.bench --corpus '$(CORPUS)'

lock: setup  ## renew constraints.txt: the newest versions that fit together
	rm -f constraints.txt
	.venv/.setup/tools/bin/uv pip compile setup.py tools/lock.in --override tools/overrides.txt --all-extras --universal --python-version 3.10 --prerelease explicit --no-annotate --quiet -o constraints.txt

clean:  ## remove .venv and what runs made
	rm -rf .venv runs
