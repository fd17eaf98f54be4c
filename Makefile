# Two commands need nothing but Python 3.11, pip and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test bench clean train-demo-model test-training

demo: $(READY)  ## caption the bundled code-switched recording live, offline
	$(BIN)/whisper-service demo

test: $(READY)  ## lint, types, import rules and tests
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/test

bench: $(READY)  ## every part and the whole, against the old way, on this machine
	$(BIN)/whisper-service bench

$(READY): requirements-dev.lock pyproject.toml
	PYTHON=$(PYTHON) VENV=$(VENV) scripts/install
	touch $@

TRAINING := .venv-training
$(TRAINING)/.ready: training/requirements.txt
	$(PYTHON) -m venv $(TRAINING)
	$(TRAINING)/bin/pip install --quiet -r training/requirements.txt
	touch $@

train-demo-model: $(TRAINING)/.ready  ## rebuild the embedded model from nothing (hours; see training/README.md)
	PYTHONPATH=src $(TRAINING)/bin/python -m training.data --clips 90000
	PYTHONPATH=src $(TRAINING)/bin/python -m training.train --helper --steps 12000
	PYTHONPATH=src $(TRAINING)/bin/python -m training.export build/training/run/last.pt

test-training: $(TRAINING)/.ready  ## smoke run of the training scripts (PyTorch, espeak-ng), two minutes
	PYTHONPATH=src $(TRAINING)/bin/python -m training.smoke

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
