# Everything a fresh machine needs is Python >= 3.11 and make; uv is used when it is there.

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help install demo test check format bench clean

help:
	@echo "make demo     set up and run the whole line on a generated world -> demo/report.html"
	@echo "make test     set up and run all tests"
	@echo "make install  set up only: the environment is $(VENV)"
	@echo "make check    ruff and the layer rules"
	@echo "make bench    measure, side by side with the peers -> benchmarks/*.md"

install: $(READY)

$(READY): pyproject.toml uv.lock
	@if command -v uv >/dev/null 2>&1; then \
		echo "setting up $(VENV) with uv"; \
		UV_PROJECT_ENVIRONMENT=$(VENV) uv sync --quiet --frozen --extra dev; \
	else \
		python=""; \
		for candidate in python3 python3.13 python3.12 python3.11 python; do \
			if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
				python=$$candidate; break; \
			fi; \
		done; \
		if [ -z "$$python" ]; then echo "no Python 3.11, 3.12 or 3.13 found on PATH: install one, then run make again" >&2; exit 2; fi; \
		echo "setting up $(VENV) with $$($$python --version) and pip"; \
		$$python -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'; \
	fi
	@touch $@

demo: install
	@$(BIN)/nightcore demo --out demo

test: install
	@$(BIN)/python -m pytest

check: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: install
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: install
	@$(BIN)/python benchmarks/run.py
	@$(BIN)/python benchmarks/regional_inequality.py
	@$(BIN)/python benchmarks/estimators.py
	@$(BIN)/python benchmarks/dynamic.py

clean:
	rm -rf $(VENV) demo .pytest_cache .ruff_cache .hypothesis
