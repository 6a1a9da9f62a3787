#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes the row parser with libFuzzer and AddressSanitizer for FUZZ_SECONDS (15 if not set), and
# for half as long each what takes the small replies, what lists and steering are answered,
# messages of channels, and streams as servers store them.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=.build-fuzz
scripts/discard_stale.sh "$scratch"
# Only debug builds tell the fuzzer which branches a Swift function took. Of two sanitizers the
# Swift driver tells the compiler only one, now this and now that; -Xfrontend names both.
REDCOL_FUZZ=1 env -u CC -u CXX swift build --scratch-path "$scratch" --product Fuzz \
  --sanitize fuzzer --sanitize address -Xswiftc -use-ld=lld \
  -Xswiftc -Xfrontend -Xswiftc -sanitize=address,fuzzer

# Inputs that reach something new are kept for later runs; one that fails is left beside them.
export SWIFT_BACKTRACE=enable=no
run() { # TARGET FOLDER SECONDS
  mkdir -p "$scratch/$2"
  REDCOL_FUZZ_TARGET=$1 "$scratch/debug/Fuzz" -max_total_time="$3" -max_len=4096 \
    -rss_limit_mb=2048 -malloc_limit_mb=256 -timeout=10 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="$scratch/" "$scratch/$2" 2>"$scratch/log-$1" || {
    tail -n 60 "$scratch/log-$1" >&2
    exit 1
  }
  printf '%s: ' "$1"
  grep -E '^(Done|stat::(number_of_executed_units|new_units_added|peak_rss_mb))' "$scratch/log-$1"
}
seconds=${FUZZ_SECONDS:-15}
run rows corpus "$seconds"
run replies corpus-replies "$(((seconds + 1) / 2))"
run lists corpus-lists "$(((seconds + 1) / 2))"
run messages corpus-messages "$(((seconds + 1) / 2))"
run snapshots corpus-snapshots "$(((seconds + 1) / 2))"
