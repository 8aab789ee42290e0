# `make report` and `make test` need nothing but Python 3.12, 3.13 or 3.14: they set up .venv by
# themselves, from requirements.lock, and do so again only when that file or pyproject.toml changes.

STUDY := crack-2005
OUT := results/$(STUDY)

VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed
UV := uv==0.13.9

# Somebody else's packages must not get in front of the pinned ones.
unexport PYTHONPATH

.PHONY: help report test test-slow calibration calibration-quick check lint types lock wheel clean FORCE
.DEFAULT_GOAL := help

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

report: $(INSTALLED) ## run the main study; the report is results/crack-2005/report.html
	$(BIN)/hiddenpop run $(STUDY) --out $(OUT)
	@echo "The report: $(CURDIR)/$(OUT)/report.html"

# Two workers on two cores: a thread pool in each of them would only make them wait for each other.
test test-slow calibration calibration-quick: export OMP_NUM_THREADS = 1
test test-slow calibration calibration-quick: export OPENBLAS_NUM_THREADS = 1
test test-slow calibration calibration-quick: export MPLBACKEND = Agg

test: check ## check, then all tests but the slow ones
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(INSTALLED) ## the slow tests: recovery at full size, five seeds of the main study
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

calibration-quick: $(INSTALLED) ## simulated data against every family, a short look
	$(BIN)/python tests/calibration/run.py --quick

calibration: $(INSTALLED) ## the same at full length: hours; can be stopped and resumed
	$(BIN)/python tests/calibration/run.py

check: lint types ## lint and types

# PyMC's distributions swallow unknown keywords: sd=5 is accepted in silence and means sigma = 1.
lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@if grep -rnE --include='*.py' '(^|[^[:alnum:]_])sd=' models analyses; then \
	    echo "sd= is not a keyword of PyMC's distributions, and PyMC does not say so: write sigma="; \
	    exit 1; \
	fi

types: $(INSTALLED)
	$(BIN)/mypy
	@status=0; for script in $$(find analyses data -name '*.py'); do \
	    echo "$(BIN)/mypy $$script"; $(BIN)/mypy --no-error-summary "$$script" || status=1; \
	done; exit $$status

lock: ## pin again after a change of dependencies (newest of everything: make lock UPGRADE=1)
	@$(find_python) && rm -rf build/uv && "$$python" -m venv build/uv \
	    && build/uv/bin/python -m pip install -qq --disable-pip-version-check '$(UV)'
	build/uv/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.12 \
	    --generate-hashes --no-config --quiet --custom-compile-command 'make lock' \
	    $(if $(UPGRADE),--upgrade) --output-file requirements.lock
	@rm -rf build/uv; rmdir build 2>/dev/null || true

wheel: $(INSTALLED) ## build the wheel into dist/
	$(BIN)/python -m hatchling build --target wheel

clean: ## remove .venv, builds and caches; results stay
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find models data analyses tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up -----------------------------------------------------------------------------------

# Each candidate is run, not only looked for: a pyenv shim can exist and still find no interpreter.
# The upper bound is PyMC 6's own.
find_python = python=; \
	for candidate in $(PYTHON) python3.13 python3.12 python3; do \
	    if "$$candidate" -c 'import sys; sys.exit(not ((3, 12) <= sys.version_info < (3, 15)))' \
	        </dev/null >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "No Python 3.12, 3.13 or 3.14 was found as python3.13, python3.12 or python3." >&2; \
	    echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	    exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' </dev/null >/dev/null 2>&1; then \
	    echo "$$python cannot make virtual environments: install its venv module" >&2; \
	    echo "(on Debian and Ubuntu the package python3-venv), or name another Python:" >&2; \
	    echo "make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	    exit 1; \
	fi

# Paths are written into .venv, so it is made anew when this folder was moved or its interpreter has
# gone. Both stamps are written last: an interrupted set-up is done again.
ifneq ($(shell cat $(LOCKED) 2>/dev/null),$(CURDIR))
$(LOCKED): FORCE
else ifeq ($(realpath $(BIN)/python),)
$(LOCKED): FORCE
endif

$(LOCKED): requirements.lock
	@$(find_python); \
	echo "Setting up .venv with $$("$$python" --version): a few minutes, this once." \
	    && rm -rf $(VENV) && "$$python" -m venv $(VENV) \
	    && $(BIN)/python -m pip install $$(test -t 1 || echo -qq) --disable-pip-version-check \
	        --only-binary :all: --require-hashes -r requirements.lock \
	    && printf '%s' '$(CURDIR)' > $@

# `pip check` fails if pyproject.toml asks for something that requirements.lock does not pin.
$(INSTALLED): $(LOCKED) pyproject.toml
	@rm -f $@
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
	    --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check >/dev/null || { $(BIN)/python -m pip check; \
	    echo "requirements.lock does not fit pyproject.toml: make lock" >&2; exit 1; }
	@touch $@
