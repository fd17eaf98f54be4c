# Two commands need nothing but Python 3.11, pip and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check format bench lock clean

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

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
