# Everything from a bare checkout; Python 3.11 or later and make are all that is needed.
# pip honours PIP_CONSTRAINT, a constraints file, which may decide the build of torch.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet
WORKERS := -n auto --maxprocesses 4 --dist loadfile
DEMO := demo/$(shell date +%Y%m%d-%H%M%S)

.PHONY: demo test test-slow test-hard test-lowest test-packages lint clean

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) --editable '.[test]'
	touch $@

.venv/demo: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) --editable '.[features]'
	touch $@

# A minute on 1,906 pictures in nine classes, as `train --data FOLDER` plays one's own.
demo: .venv/demo
	$(BIN)/frenemy train --data embedded:emoji --minutes 1 --out $(DEMO)
	$(BIN)/frenemy film $(DEMO)
	$(BIN)/frenemy walk $(DEMO)
	$(BIN)/frenemy neighbours $(DEMO)
	$(BIN)/frenemy judge $(DEMO) --samples 1000

test: lint
	$(BIN)/pytest $(WORKERS)

test-slow: .venv/ready
	$(BIN)/pytest -m slow

# The suite, again and again, under settings that must not matter. It takes about four times as long.
test-hard: .venv/ready
	tests/hard.sh

# The suite with the lowest versions that are allowed, whatever PIP_CONSTRAINT says of others.
test-lowest:
	$(PYTHON) -m venv --clear .venv-lowest
	PIP_CONSTRAINT=$(CURDIR)/tests/lowest.txt .venv-lowest/bin/pip --disable-pip-version-check install --quiet --editable '.[test,umap]'
	.venv-lowest/bin/pytest $(WORKERS)

# The packages, in empty environments of these Pythons.
PYTHONS ?= $(PYTHON)
test-packages:
	tests/packages.sh $(PYTHONS)

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

clean:
	rm -rf .venv .venv-lowest demo
