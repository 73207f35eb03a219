# Short names for `python make.py TARGET`. Arguments go in ARGS: make test ARGS="-k unet"
PYTHON ?= python3
HERE := $(dir $(lastword $(MAKEFILE_LIST)))

.PHONY: help setup demo test lint format stubs docs docs-serve figures bench
.NOTPARALLEL:

help setup demo test lint format stubs docs docs-serve figures bench:
	@$(PYTHON) "$(HERE)make.py" $@ $(ARGS)

# Any other name: make.py answers with the list.
.DEFAULT:
	@$(PYTHON) "$(HERE)make.py" $@
