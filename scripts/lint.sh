#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Looks at the style of all sources and at the types of the Python ones; changes nothing.
# lint.sh [PART]...: swift, c, python or style; all of them if none is named.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/.venv/bin
failed=0
run() {
  printf '%s\n' "$*"
  "$@" || failed=1
}

lint_swift() { run swift format lint --strict --recursive Sources Tests Package.swift; }

# What clang-format would change, and what cppcheck suspects. It believes that a vector moves its
# elements after `reserve`, and that a memcpy of a template's T is one of std::string_view.
lint_c() {
  local files
  mapfile -t files < <(
    find Sources Tests include bindings -type f -regextype posix-extended \
      -regex '.*\.(c|h|cpp|hpp)' -not -path 'include/abi/*' | LC_ALL=C sort
  )
  printf 'clang-format of %s files\n' "${#files[@]}"
  "$bin/clang-format" --dry-run --Werror "${files[@]}" || failed=1
  run cppcheck --quiet --enable=warning,portability --inline-suppr --error-exitcode=1 \
    --suppress={invalidContainer,memsetClass}:bindings/cpp/redcol_columns.hpp \
    -Iinclude -ISources/CPlatform/include -Ibindings/cpp Sources/CPlatform bindings/cpp
}

lint_python() {
  cd bindings/python
  run "$bin/ruff" check --config pyproject.toml . ../cpp ../../scripts
  run "$bin/ruff" format --check --config pyproject.toml . ../cpp ../../scripts
  run "$bin/mypy" --strict src
  cd ../..
}

lint_style() { run scripts/check_style.sh; }

if [ $# -eq 0 ]; then set -- swift c python style; fi
for part in "$@"; do
  case $part in
  swift | c | python | style) "lint_$part" ;;
  *) printf 'lint.sh: there is no part %s\n' "$part" >&2 && exit 2 ;;
  esac
done
exit "$failed"
