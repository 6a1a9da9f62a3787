#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Looks at the style of all sources and at the types of the Python ones; changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
run() {
  printf '%s\n' "$*"
  "$@" || failed=1
}
run swift format lint --strict --recursive Sources Tests Package.swift
(
  cd bindings/python
  run ../../.venv/bin/ruff check --config pyproject.toml . ../cpp ../../scripts
  run ../../.venv/bin/ruff format --check --config pyproject.toml . ../cpp ../../scripts
  run ../../.venv/bin/mypy --strict src
  exit "$failed"
) || failed=1
run scripts/check_style.sh
exit "$failed"
