#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test against the release build, a short fuzz run with it, and counts them at the end.
# What is independent runs side by side: Swift's compiler and tests beside Python's.
# Tests kill servers and cut connections while the machine is as busy as it can be. What fails of
# Python's tests is run once more by itself; count_tests.py names it, and allows it to few tests.
set -euo pipefail
cd "$(dirname "$0")/.."

reports=.build-tests/reports
mkdir -p "$reports"
rm -f "$reports"/*.xml "$reports"/*.failed "$reports"/*.log
export REDCOL_LIBRARY="${REDCOL_LIBRARY:-$PWD/.build/release/libredcol.so}"
# Names of tests that come from sets are the same in both processes.
export PYTHONHASHSEED=0
pytest=(.venv/bin/python -m pytest --quiet)

# A runner that fails leaves its name: it may have ended before it wrote a report.
attempt() { # NAME COMMAND...
  local name=$1 began=$SECONDS
  shift
  "$@" || printf '%s\n' "$name" >"$reports/${name// /-}.failed"
  printf '%s took %s s\n' "$name" "$((SECONDS - began))"
}

# Both goes write a report. A process that crashed, or no test at all, is not tried again.
run_pytest() { # NAME-OF-THE-REPORT COMMAND...
  local name=$1 status=0
  shift
  local cache=.build-tests/pytest-$name
  rm -rf "$cache"
  set -- "$@" -o "cache_dir=$PWD/$cache"
  "$@" --junitxml "$reports/$name.xml" || status=$?
  if [ "$status" -ne 1 ]; then return "$status"; fi
  "$@" --last-failed --last-failed-no-failures none --maxfail 1 \
    --junitxml "$reports/$name-again.xml"
}

# Swift Testing writes its report to swift-swift-testing.xml.
test_swift() {
  scripts/discard_stale.sh .build-tests
  env -u CC -u CXX swift test --scratch-path .build-tests --disable-xctest \
    --xunit-output "$reports/swift.xml"
}

# Less of it against the build that is not shipped, with Swift's own runtime.
test_runtime() {
  local tests=bindings/python/tests
  EMBEDDED=0 scripts/build.sh .build-runtime &&
    REDCOL_LIBRARY="$PWD/.build-runtime/release/libredcol.so" \
      run_pytest python-runtime "${pytest[@]}" \
      "$tests"/test_{guide_range,groups,errors,handover}.py bindings/cpp/tests/test_c_examples.py
}

# A file's tests stay in one process, since they share its servers.
test_python() {
  run_pytest python "${pytest[@]}" --numprocesses 2 --dist loadfile \
    --ignore bindings/python/tests/engines \
    bindings/python/tests bindings/python/benchmarks bindings/cpp/tests scripts/tests
}

# In an environment of their own, in one process: they share a Spark.
test_engines() {
  run_pytest engines .venv-engines/bin/python -m pytest --quiet -c bindings/python/pyproject.toml \
    bindings/python/tests/engines
}

fuzz() { FUZZ_SECONDS=${FUZZ_SECONDS:-15} scripts/fuzz.sh; }

lane() {
  attempt swift test_swift
  attempt "python with Swift's runtime" test_runtime
  attempt fuzz fuzz
  attempt engines test_engines
}
lane >"$reports/lane.log" 2>&1 &
lane=$!
trap 'kill "$lane" 2>/dev/null || true' EXIT
attempt python test_python
wait "$lane" || true
trap - EXIT
cat "$reports/lane.log"

failed_runners=()
for file in "$reports"/*.failed; do
  if [ -e "$file" ]; then failed_runners+=("$(cat "$file")"); fi
done
.venv/bin/python scripts/count_tests.py "$reports" ${failed_runners[@]+"${failed_runners[@]}"}
