# make reproduce   install, run every stage at scale=laptop, print where the report is
# make test        install, run every test
# make lab         install, open JupyterLab on notebooks/
# make gpu-check   what one GPU does, made for 8 minutes; installs nothing
#
# PYTHON=... names the interpreter to build .venv from; otherwise python3 is taken where it is
# 3.11 to 3.13, or else the newest of those that starts.

SUITS = import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(SUITS)' >/dev/null 2>&1 && { echo $$p; break; }; done)

.PHONY: reproduce test lab gpu-check install

reproduce: install
	.venv/bin/r1repro run

test: install
	.venv/bin/python -m pytest

# As root, in a container, JupyterLab asks to be told that it is meant.
lab: install
	.venv/bin/jupyter lab notebooks $$([ "$$(id -u)" != 0 ] || echo --allow-root)

# With the interpreter that is there: .venv's, or else python3.
gpu-check:
	@p=.venv/bin/python; [ -x "$$p" ] || p=python3; "$$p" -m benchmarks.gpu_check

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 to 3.13 with venv was found;" \
		"install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	test -x .venv/bin/python || "$(PYTHON)" -m venv .venv
	.venv/bin/python -m pip install -e ".[test]" -c constraints.txt
	@touch $@
