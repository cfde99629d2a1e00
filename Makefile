# `make install` is idempotent: the stamp is made anew only when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PAGE := tools/page
PAGE_STAMP := $(PAGE)/node_modules/.package-lock.json

.PHONY: install demo test test-scale check check-page clean

install: $(STAMP)

$(STAMP): pyproject.toml scripts/install.sh $(wildcard constraints/*.txt)
	PYTHON=$(PYTHON) VENV=$(VENV) bash scripts/install.sh
	touch $(STAMP)

demo: install
	$(BIN)/python examples/demo.py

# What tests and their many processes import is compiled once, whatever the environment says.
test: install
	bash scripts/install-material.sh
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

# The tests that need a Ray cluster and an object store of their own: 600 MB more to install.
test-scale: install
	PYTHON=$(PYTHON) VENV=$(VENV) bash scripts/install.sh scale
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/jobs/batch/test_cluster.py tests/jobs/batch/test_stores.py

check: install check-page
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Scripts of the pages: types, which TypeScript reads from their comments, and a linter; nothing is compiled.
check-page: $(PAGE_STAMP)
	cd $(PAGE) && npm run --silent types && npm run --silent lint

$(PAGE_STAMP): $(PAGE)/package.json $(PAGE)/package-lock.json
	@command -v npm >/dev/null || { echo "error: no npm here, and it brings what checks the scripts of the pages; expected Node.js 20 or newer" >&2; exit 1; }
	cd $(PAGE) && npm ci --no-audit --no-fund
	touch $@

clean:
	rm -rf $(VENV) $(PAGE)/node_modules build dist demo-output
