#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs all of the fault injection, then the ledger with new seeds until CHAOS_SECONDS have passed.
set -euo pipefail
cd "$(dirname "$0")/.."

limit=${CHAOS_SECONDS:-1800}
export REDCOL_CHAOS=1 REDCOL_LIBRARY="${REDCOL_LIBRARY:-$PWD/.build/release/libredcol.so}"
pytest=("${PYTHON:-.venv/bin/python}" -m pytest --quiet -p no:cacheprovider)
tests=bindings/python/tests/chaos

# With a seed: only what depends on one, once.
if [ -n "${REDCOL_SEED:-}" ]; then exec "${pytest[@]}" -s "$tests/test_ledger.py" "$@"; fi

"${pytest[@]}" --ignore "$tests/test_ledger.py" "$tests" "$@"
rounds=0
while [ "$rounds" -eq 0 ] || [ "$SECONDS" -lt "$limit" ]; do
  REDCOL_SEED=$((RANDOM << 15 | RANDOM))
  export REDCOL_SEED
  rounds=$((rounds + 1))
  echo "round $rounds after $SECONDS s: REDCOL_SEED=$REDCOL_SEED"
  "${pytest[@]}" "$tests/test_ledger.py" "$@" || {
    echo "again: make chaos REDCOL_SEED=$REDCOL_SEED" >&2
    exit 1
  }
done
