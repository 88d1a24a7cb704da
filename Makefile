# make reproduce   install, run every stage at scale=laptop, print where the report is
# make test        install, run every test but those marked long
# make test-real   install, run the tests on real weights (R1REPRO_QWEN_GGUF=FILE adds a Qwen)
# make test-all    install, run every test, sixty kills, 5,000 steps and a fresh install: hours
# make test-fast   install, run the tests that train nothing and start no kernel
# make lint        install, check style, types, layers and what the repository may hold
# make lab         install, open JupyterLab on notebooks/
# make gpu-check   what one GPU does, made for 7 minutes; installs nothing. SMOLLM2=FOLDER: trains it too
# make site        install, write the documents and the newest report to build/site/
# make install     .venv with the package, its tests' tools and the pinned versions
#
# PYTHON=... names the interpreter to build .venv from; otherwise python3 is taken where it is
# 3.11 to 3.13, or else the newest of those that starts.

SUITS = import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(SUITS)' >/dev/null 2>&1 && { echo $$p; break; }; done)

# Functions of text and numbers. Left out are files that import torch, draw many thousand documents
# or start the verifier's workers.
FAST = tests/text tests/tasks tests/rewards tests/evaluation \
	tests/test_errors.py tests/test_figures_in_docs.py tests/test_hygiene.py tests/test_readme.py \
	tests/test_row_files.py
SLOW = tests/tasks/test_mini_world.py tests/tasks/test_templates.py tests/tasks/test_traces.py \
	tests/rewards/test_preference.py tests/rewards/test_rule_rewards.py tests/rewards/test_verifier.py

.PHONY: reproduce test test-real test-all test-fast lint lab gpu-check site install

reproduce: install
	.venv/bin/r1repro run

test: install
	.venv/bin/python -m pytest

test-real: install
	.venv/bin/python -m pytest tests/real -m real

test-all: install
	.venv/bin/python -m pytest -m ""
	.venv/bin/python -m tests.crash --kills 60
	.venv/bin/python -m tests.crash.endurance --steps 5000
	rm -rf build/fresh && "$(PYTHON)" -m venv build/fresh
	build/fresh/bin/python -m pip install -q -e ".[test]" -c constraints.txt
	build/fresh/bin/python -m pip check
	build/fresh/bin/python -m pytest tests/test_constraints.py -n 0
	for version in 3.12 3.13; do rm -rf build/other; command -v python$$version || continue; \
		python$$version -m venv build/other \
		&& build/other/bin/python -m pip install -q -e ".[test]" -c constraints.txt \
		&& build/other/bin/python -m pytest || exit 1; done
	build/fresh/bin/python -m pip install -q pip-audit
	build/fresh/bin/pip-audit -r constraints.txt --no-deps --disable-pip

test-fast: install
	.venv/bin/python -m pytest $(FAST) $(addprefix --ignore=,$(SLOW))

lint: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	git ls-files -z | xargs -0 .venv/bin/python -m tests.hygiene

# As root, in a container, JupyterLab asks to be told that it is meant.
lab: install
	.venv/bin/jupyter lab notebooks $$([ "$$(id -u)" != 0 ] || echo --allow-root)

# With the interpreter that is there: .venv's, or else python3.
gpu-check:
	@p=.venv/bin/python; [ -x "$$p" ] || p=python3; "$$p" -m benchmarks.gpu_check $(if $(SMOLLM2),--smollm2 "$(SMOLLM2)")

site: install
	.venv/bin/python -m pip install -q "mkdocs-material>=9.6,<10" -c constraints.txt
	.venv/bin/python -m benchmarks.site

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 to 3.13 with venv was found;" \
		"install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	test -x .venv/bin/python || "$(PYTHON)" -m venv .venv
	.venv/bin/python -m pip install -e ".[test]" -c constraints.txt
	@touch $@
