# What can be done with this checkout; `make help` lists it.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
LIBRARY := .build/release/libredcol.so
EXPORTS := Sources/RedcolABI/exports.map

# CC and CXX in the environment break SwiftPM's C targets.
SWIFT := env -u CC -u CXX swift

# The library carries Swift's runtime and hiredis in itself, and shows the symbols of its header only.
# nodelete: Swift's runtime cannot be unloaded.
RELEASE_FLAGS := -c release --product redcol -Xswiftc -static-stdlib -Xswiftc -use-ld=lld \
	-Xlinker --version-script=$(EXPORTS) -Xlinker -soname=libredcol.so.0 \
	-Xlinker --gc-sections -Xlinker -s -Xlinker -z -Xlinker defs -Xlinker -z -Xlinker nodelete

# The demo and the benchmarks start private servers as the tests do.
export PYTHONPATH := $(CURDIR)/bindings/python/src:$(CURDIR)/bindings/python/tests
export REDCOL_LIBRARY := $(CURDIR)/$(LIBRARY)

.NOTPARALLEL:

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup:  ## install what is missing: system packages, and a Python environment in .venv
	@scripts/setup.sh

.PHONY: demo
demo: setup build  ## write 100,000 events to a private redis-server (or to REDIS_URL) and read them back
	@$(PYTHON) bindings/python/demo.py

# SwiftPM does not look at the list of exports.
.PHONY: build
build:  ## build the library, .build/release/libredcol.so, from what setup installs
	@if [ $(EXPORTS) -nt $(LIBRARY) ]; then rm -f $(LIBRARY); fi
	@$(SWIFT) build $(RELEASE_FLAGS)
	@ln -sf libredcol.so $(LIBRARY).0

.PHONY: test
test: setup build  ## run all tests and count them
	@scripts/test.sh

.PHONY: chaos
chaos: setup build  ## cut, hold, reset and kill for CHAOS_SECONDS, 1800 if not set; REDCOL_SEED replays
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-1800} scripts/chaos.sh

.PHONY: check
check: lint build  ## lint, compare the header with the library's symbols and with the last release
	@scripts/check_symbols.sh $(LIBRARY)
	@$(PYTHON) scripts/check_abi.py

.PHONY: lint
lint: setup  ## look at style and types, without changing anything
	@scripts/lint.sh

.PHONY: bench
bench: setup build  ## compare what redcol takes with its floors and with others
	@for name in read shapes network group tail small growth scan many write; do $(PYTHON) bindings/python/benchmarks/bench_$$name.py; echo; done

.PHONY: wheel
wheel: setup build  ## build the Python package, dist/redcol-*.whl
	@$(PYTHON) -m build --wheel --no-isolation --outdir dist bindings/python

.PHONY: docs
docs:  ## make a page of the C interface's manual, dist/docs/redcol.html
	@python3 scripts/make_docs.py dist/docs/redcol.html

.PHONY: fuzz
fuzz: setup  ## fuzz the row parser for FUZZ_SECONDS, 300 if not set
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-300} scripts/fuzz.sh

.PHONY: sanitize
sanitize: setup build  ## run tests under AddressSanitizer, ThreadSanitizer and valgrind
	@scripts/sanitize.sh

.PHONY: clean
clean:  ## remove what was built; .venv stays
	rm -rf .build .build-tests .build-fuzz .build-asan .build-tsan dist
