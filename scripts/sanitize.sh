#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Looks for misused memory, leaks and races. With the names of parts, only these: address, python,
# thread, valgrind.
#
# address: the library under AddressSanitizer, with the C and C++ programs (LeakSanitizer included)
# and the tests of the C interface. Left out are those that bring a sanitizer or valgrind along or
# install the library, and those that limit the memory of a process, of which AddressSanitizer
# reserves terabytes.
# python: the same library with the Python tests. Leaks are not looked for here, since the heap of
# Polars is no place where LeakSanitizer looks for pointers: each test compares the library's own
# count of live objects (leaks.py). Left out are those that measure memory, install the library or
# look at other versions, and the fault injection, one of whose tests alone takes a minute here, and
# those whose library stands before malloc.
# thread: the Swift tests of the C interface under ThreadSanitizer.
# valgrind: the release build, with the C and C++ programs, tests of the C interface, and those of
# the Python package that read and write in most of the ways there are. All would take hours.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

parts=("$@")
if [ "${#parts[@]}" -eq 0 ]; then parts=(address python thread valgrind); fi
python=${PYTHON:-$PWD/.venv/bin/python}
swift=(env -u CC -u CXX swift)
pytest=(-m pytest --quiet -p no:cacheprovider -c bindings/python/pyproject.toml)
export PYTHONPATH="$PWD/bindings/python/src:$PWD/bindings/python/tests"

scratch=.build-asan
library=$PWD/$scratch/release/libredcol.so
# Swift's compiler and its clang come together, and with one set of runtimes.
clang=$(dirname "$(readlink -f "$(command -v swift)")")/clang
runtime=$("$clang" --print-runtime-dir)/libclang_rt.asan-x86_64.so
if [ ! -e "$runtime" ]; then runtime=$("$clang" --print-file-name=libclang_rt.asan-x86_64.so); fi

build_for_address() {
  scripts/discard_stale.sh "$scratch" "$(cat Sources/RedcolABI/exports.map)"
  "${swift[@]}" build --scratch-path "$scratch" -c release --product redcol --sanitize=address \
    -Xswiftc -static-stdlib -Xswiftc -use-ld=lld -Xlinker --gc-sections \
    -Xlinker --version-script=Sources/RedcolABI/exports.map -Xlinker -soname=libredcol.so.0
  scripts/discard_stale.sh --built "$scratch"
  ln -sf libredcol.so "$scratch/release/libredcol.so.0"
  # The runtime must be the first library of a process.
  printf '#!/bin/sh\nLD_PRELOAD="%s${LD_PRELOAD:+:$LD_PRELOAD}" exec "%s" "$@"\n' \
    "$runtime" "$python" >"$scratch/python"
  chmod +x "$scratch/python"
}

under_address() {
  local leaks=$1
  shift
  REDCOL_LIBRARY="$library" REDCOL_PYTHON="$PWD/$scratch/python" \
    REDCOL_LINK="-Wl,--no-as-needed $runtime -Wl,-rpath,$(dirname "$runtime") -Wl,--as-needed" \
    ASAN_OPTIONS=detect_leaks=$leaks PYTHONMALLOC=malloc \
    "$scratch/python" "${pytest[@]}" -p sanitizing "$@"
}

test_address() {
  build_for_address
  under_address 1 -k "not valgrind and not sanitized and not sanitizers and not test_memory" \
    --ignore bindings/cpp/tests/test_abi.py --ignore bindings/cpp/tests/test_docs_page.py \
    --ignore bindings/cpp/tests/test_counts.py --ignore bindings/cpp/tests/test_install.py \
    bindings/cpp/tests
}

test_python() {
  build_for_address
  under_address 0 --ignore bindings/python/tests/test_oldest_polars.py \
    --ignore bindings/python/tests/test_memory.py \
    --ignore bindings/python/tests/test_other_languages.py \
    --ignore bindings/python/tests/test_rust.py \
    --ignore bindings/python/tests/test_out_of_memory.py \
    --ignore bindings/python/tests/test_scan_memory.py \
    --ignore bindings/python/tests/test_wheel.py \
    --ignore bindings/python/tests/test_source_builds.py \
    --ignore bindings/python/tests/chaos bindings/python/tests
}

test_thread() {
  scripts/discard_stale.sh .build-tsan
  "${swift[@]}" test --scratch-path .build-tsan --disable-xctest --sanitize=thread \
    --filter ABITests
}

test_valgrind() {
  REDCOL_LIBRARY=$PWD/.build/release/libredcol.so "$python" "${pytest[@]}" \
    -k valgrind bindings/cpp/tests
  # CPython itself looks at bytes that valgrind takes for uninitialised while it imports modules.
  REDCOL_LIBRARY=$PWD/.build/release/libredcol.so PYTHONMALLOC=malloc \
    valgrind --quiet --error-exitcode=9 --undef-value-errors=no \
    --suppressions=scripts/valgrind.supp "$python" "${pytest[@]}" \
    -k "order_of_freeing or late_cancel or guide or groups or write" \
    bindings/cpp/tests/test_misuse.py bindings/python/tests/test_guide_range.py \
    bindings/python/tests/test_groups.py bindings/python/tests/test_write_stream.py
}

case ${parts[*]} in
  address) test_address ;;
  python) test_python ;;
  thread) test_thread ;;
  valgrind) test_valgrind ;;
  *)
    if [ "${#parts[@]}" -eq 1 ]; then echo "no such part: ${parts[0]}" >&2 && exit 2; fi
    failed=()
    for part in "${parts[@]}"; do
      echo "sanitize: $part"
      scripts/sanitize.sh "$part" || failed+=("$part")
    done
    if [ "${#failed[@]}" -gt 0 ]; then
      echo "sanitize: found something: ${failed[*]}" >&2
      exit 1
    fi
    ;;
esac
