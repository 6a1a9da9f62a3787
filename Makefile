# SPDX-License-Identifier: Apache-2.0
# What can be done with this checkout; `make help` lists it.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
# 1: Embedded Swift, which is what the wheel carries. 0: with Swift's own runtime inside.
export EMBEDDED ?= 1
BUILD := $(if $(filter 0,$(EMBEDDED)),.build-runtime,.build)
LIBRARY := $(BUILD)/release/libredcol.so

# Where `make install` puts the library; DESTDIR goes before all of them, for packagers.
export PREFIX ?= /usr/local
export LIBDIR ?= $(PREFIX)/lib
export INCLUDEDIR ?= $(PREFIX)/include
export DOCDIR ?= $(PREFIX)/share/doc/redcol
export DESTDIR

# The benchmarks start private servers as the tests do.
export PYTHONPATH := $(CURDIR)/bindings/python/src:$(CURDIR)/bindings/python/tests
export REDCOL_LIBRARY := $(CURDIR)/$(LIBRARY)

.NOTPARALLEL:

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup:  ## install what is missing: system packages, and a Python environment in .venv
	@scripts/setup.sh

.PHONY: demo
demo: setup build  ## write 100,000 events to a private redis-server (or to REDIS_URL) and read them back
	@$(PYTHON) bindings/python/examples/demo.py

.PHONY: build
build:  ## build the library, .build/release/libredcol.so; EMBEDDED=0: the other, in .build-runtime
	@scripts/build.sh $(BUILD)

# Without a build where there is one: `sudo make install` shall need no Swift.
.PHONY: install
install: $(if $(wildcard $(LIBRARY)),,build)  ## install library, headers, redcol.pc and CMake files into PREFIX
	@scripts/install.sh $(LIBRARY)

.PHONY: debug-symbols
debug-symbols: build  ## write dist/libredcol.so.debug, the symbols of the library as it was built
	@scripts/debug_symbols.sh $(LIBRARY) dist/libredcol.so.debug

.PHONY: uninstall
uninstall:  ## remove what install has put into PREFIX
	@scripts/install.sh --remove

.PHONY: test
test: setup build  ## run all tests and count them
	@scripts/test.sh

.PHONY: chaos
chaos: setup build  ## cut, hold, reset and kill for CHAOS_SECONDS, 1800 if not set; REDCOL_SEED replays
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-1800} scripts/chaos.sh

.PHONY: check
check: setup build  ## lint, compare interfaces, run the tests that need no server: a few minutes
	@scripts/check.sh $(CURDIR)/$(LIBRARY)

.PHONY: lint
lint: setup  ## look at style and types, without changing anything
	@scripts/lint.sh

.PHONY: bench
bench: setup build  ## compare what redcol takes with its floors and with others
	@for name in read shapes network group tail small growth scan many write tls cluster inspect pubsub bulk engines; do $(PYTHON) bindings/python/benchmarks/bench_$$name.py; echo; done

.PHONY: wheel
wheel: setup build  ## build the Python package, dist/redcol-*.whl
	@$(PYTHON) -m build --wheel --no-isolation --outdir dist bindings/python

.PHONY: docs
docs: setup man  ## build the site, dist/docs/index.html, and the manual of the C interface as one page, redcol.html
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --quiet --strict
	@$(PYTHON) scripts/make_docs.py dist/docs/redcol.html

.PHONY: docs-serve
docs-serve: setup  ## show the site at http://127.0.0.1:8000, and again after each change
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs serve

.PHONY: man
man: setup  ## write the man page of the command, bindings/python/redcol.1
	@$(PYTHON) scripts/make_man.py bindings/python/redcol.1

.PHONY: pictures
pictures: setup build  ## draw the pictures of the documents from the demo's data, docs/pictures
	@$(PYTHON) scripts/make_pictures.py docs/pictures

.PHONY: sdist
sdist: setup  ## pack the sources of the Python package and the library, dist/redcol-*.tar.gz
	@$(PYTHON) -m build --sdist --no-isolation --outdir dist bindings/python

.PHONY: fuzz
fuzz: setup  ## fuzz the row parser, small replies, lists, messages and stored streams for FUZZ_SECONDS, 300 if not set
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-300} scripts/fuzz.sh

.PHONY: sanitize
sanitize: setup build  ## run tests under AddressSanitizer, ThreadSanitizer and valgrind
	@scripts/sanitize.sh

.PHONY: clean
clean:  ## remove what was built; .venv stays
	rm -rf .build .build-* dist
