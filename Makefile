# Needs Python 3.11 or newer and make, nothing else. `make PYTHON=python3.12 test` takes another Python.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
DEMOS := style_transfer can@can24 super_resolution@x4

.PHONY: help demo test lint soak bench catalogue clean

help: ## show what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## build three networks to optimised, checked ONNX models in demo/
	@mkdir -p demo
	@set -e; for spec in $(DEMOS); do \
	  name=$${spec%@*}; variant=$${spec#"$$name"}; sizes=; \
	  [ $$name != style_transfer ] || sizes="--dim H=256 --dim W=256"; \
	  $(BIN)/graphc build "specs/$$name.yaml$$variant" $$sizes -o "demo/$$name.onnx"; echo; \
	done
	@echo 'next: . .venv/bin/activate && graphc --help'

test: $(INSTALLED) ## run the tests
	$(BIN)/python -m pytest -n auto

lint: $(INSTALLED) ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

soak: $(INSTALLED) ## run 100,000 random cases of the rewrites (half an hour), and write tests/SOAK.md
	$(BIN)/python tests/soak.py --write

bench: $(INSTALLED) ## print how long graphc takes, and how much faster models run (by hand, on a quiet machine)
	$(BIN)/python benchmarks/build_times.py
	$(BIN)/python benchmarks/cost_times.py
	$(BIN)/python benchmarks/inference_ratios.py

catalogue: $(INSTALLED) ## write the generated pages, and what the README shows commands to print
	$(BIN)/python -m graphc.catalogue --write
	$(BIN)/python tests/test_readme.py

clean: ## remove what make made
	rm -rf .venv demo

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@
