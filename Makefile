.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-python coverage mutation lint docs lock bench wheel providers clean

# A Python that is new enough and can make environments: with pip of its own, or with the pip that it carries along.
CAN_MAKE := import sys, venv; from importlib.util import find_spec as has; \
	sys.exit(sys.version_info < (3, 11) or not (has("pip") or has("ensurepip")))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do \
	"$$p" -c '$(CAN_MAKE)' 2>/dev/null && { echo "$$p"; break; }; done)
NO_PYTHON = this needs Python 3.11 or later with venv and pip; python3 here is \
	$(or $(shell python3 --version 2>&1 | head -n 1),not there). On Debian: apt-get install python3 python3-venv

# $(call environment,FOLDER,OPTIONS OF PIP,MORE): make an environment of what requirements/ pins by hash, then run pip once more
# with MORE, if given. The outer pip does it if there is one, which spares 3 seconds.
define environment
$(if $(PYTHON),,$(error $(NO_PYTHON)))
@rm -rf $(1)
@$(PYTHON) -m venv --without-pip $(1)
@if $(PYTHON) -m pip --version >/dev/null 2>&1; then pip="$(PYTHON) -m pip --python $(1)/bin/python"; \
	else $(1)/bin/python -m ensurepip >/dev/null; pip="$(1)/bin/python -m pip"; fi; \
	pip="$$pip install -qq --disable-pip-version-check --no-deps"; \
	$$pip --require-hashes --only-binary :all: $(2)$(if $(3), && $$pip $(3))
@touch $@
endef

# A file of tests is one process's, which starts its servers once.
AT_ONCE := --numprocesses auto --maxprocesses 4 --dist loadfile

BRANCHES := 'import json, sys; print("of the branches alone:", json.load(sys.stdin)["totals"]["percent_branches_covered_display"], "%")'

help:  ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

demo: .venv-demo/.made  ## one function, called as every provider would call it
	@$(DEMO) invoke samples/hello/app.py:hello --path /hello/Ada --time 100

test: .venv/.made  ## every test, those with the providers' real runtimes too
	.venv/bin/pytest $(AT_ONCE)

test-fast: .venv/.made  ## the tests that are quick: no real runtime, fuzz or matrix, and 10 examples of each law
	.venv/bin/pytest -q $(AT_ONCE) -m 'not runtime and not slow' --hypothesis-profile fast

test-python:  ## the tests without real runtimes on another Python: make test-python PY=3.14
	@$(MAKE) --no-print-directory .venv-$(PY)/.made
	.venv-$(PY)/bin/pytest -q $(AT_ONCE) -m 'not runtime'

coverage: .venv/.made  ## which branches the tests without real runtimes take
	.venv/bin/coverage erase
	.venv/bin/coverage run -m pytest -q $(AT_ONCE) -m 'not runtime'
	.venv/bin/coverage combine -q
	.venv/bin/coverage report
	@.venv/bin/coverage json -q -o - | .venv/bin/python -c $(BRANCHES)

mutation: .venv/.made  ## which changes of the code no test notices (most of an hour)
	PATH="$(CURDIR)/.venv/bin:$$PATH" python tools/mutation.py

lint: .venv/.made  ## ruff, codespell, import-linter, mypy and pyright
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/codespell
	.venv/bin/lint-imports --no-cache --no-logo
	.venv/bin/mypy
	.venv/bin/pyright --pythonpath .venv/bin/python

docs: .venv/.made  ## build the documentation in site/, and check its links
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict
	@echo "Read it: python3 -m http.server --directory site"

lock: .venv/.made  ## pin what constraints.txt names by hash, for every Python and system
	.venv/bin/python tools/lock.py

bench: .venv/.made  ## cold start and overhead, beside other libraries; for a quick look: make bench ARGS=--quick
	.venv/bin/python -m benchmarks $(ARGS)

wheel: .venv/.made  ## build the wheel and test it without the sources
	.venv/bin/python tools/wheel.py

providers: .venv/.made  ## write what docs/ says of each provider anew
	.venv/bin/python -m tests.provider_matrix

clean:  ## remove what make made
	rm -rf .venv .venv-* .cache dist build site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made: pyproject.toml requirements/dev.txt
	@echo "Making .venv (once, about half a minute) …"
	$(call environment,.venv,-r requirements/dev.txt,--no-build-isolation --editable .)

# Another Python's: the one on this machine, else Debian's, which is put under .cache/.
.venv-3.%/.made: PYTHON = $(shell python3 -m tools.interpreter 3.$*)
.venv-3.%/.made: pyproject.toml requirements/dev.txt
	@echo "Making .venv-3.$* (once, about a minute) …"
	$(call environment,.venv-3.$*,-r requirements/dev.txt,--no-build-isolation --editable .)

DEMO := PYTHONPATH=src:adapters .venv-demo/bin/python -m portable_fn
.venv-demo/.made: requirements/demo.txt
	@echo "Making .venv-demo (once, a few seconds) …"
	$(call environment,.venv-demo,--no-compile -r requirements/demo.txt)
