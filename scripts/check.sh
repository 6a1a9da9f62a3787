#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What to look at before each commit, in a few minutes: check.sh LIBRARY. Style, types, symbols,
# the interface, the order of the rooms, and the tests that need no server.
set -euo pipefail
cd "$(dirname "$0")/.."

export REDCOL_LIBRARY=$1
began=$SECONDS
failed=()
attempt() { # NAME COMMAND...
  local name=$1 began=$SECONDS
  shift
  "$@" || failed+=("$name")
  printf 'check: %s took %s s\n' "$name" "$((SECONDS - began))"
}

test_swift() {
  scripts/discard_stale.sh .build-tests
  # The tests of the C interface start servers.
  env -u CC -u CXX swift test --scratch-path .build-tests --disable-xctest --skip ABITests --quiet
}

test_python() {
  local files
  mapfile -t files < <(.venv/bin/python scripts/tests_without_server.py)
  .venv/bin/python -m pytest --quiet -p no:cacheprovider -c bindings/python/pyproject.toml \
    -m "not slow" "${files[@]}"
}

attempt lint scripts/lint.sh
attempt symbols scripts/check_symbols.sh "$1"
attempt interface .venv/bin/python scripts/check_abi.py
attempt rooms .venv/bin/python scripts/check_rooms.py
attempt "Python tests" test_python
attempt "Swift tests" test_swift
if [ "${#failed[@]}" -gt 0 ]; then
  printf 'check: failed: %s\n' "${failed[*]}" >&2
  exit 1
fi
printf 'check: all is well, after %s s\n' "$((SECONDS - began))"
