#!/usr/bin/env bash
# Runs every test against the release build, a short fuzz run with it, and counts them at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

reports=.build-tests/reports
mkdir -p "$reports"
rm -f "$reports"/*.xml
failed_runners=()

# Swift Testing writes its report to swift-swift-testing.xml.
env -u CC -u CXX swift test --scratch-path .build-tests --disable-xctest \
  --xunit-output "$reports/swift.xml" || failed_runners+=(swift)

export REDCOL_LIBRARY="${REDCOL_LIBRARY:-$PWD/.build/release/libredcol.so}"
.venv/bin/python -m pytest --quiet --junitxml "$reports/python.xml" \
  bindings/python/tests bindings/python/benchmarks bindings/cpp/tests || failed_runners+=(python)

# Less of it against the build that is not shipped, with Swift's own runtime.
tests=bindings/python/tests
EMBEDDED=0 scripts/build.sh .build-runtime &&
  REDCOL_LIBRARY="$PWD/.build-runtime/release/libredcol.so" \
    .venv/bin/python -m pytest --quiet --junitxml "$reports/python-runtime.xml" \
    "$tests"/test_{guide_range,groups,errors,handover}.py bindings/cpp/tests/test_c_examples.py ||
  failed_runners+=("python with Swift's runtime")

FUZZ_SECONDS=${FUZZ_SECONDS:-15} scripts/fuzz.sh || failed_runners+=(fuzz)

.venv/bin/python scripts/count_tests.py "$reports" "${failed_runners[@]}"
