#!/usr/bin/env bash
# Fuzzes the row parser with libFuzzer and AddressSanitizer for FUZZ_SECONDS (15 if not set).
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=.build-fuzz
# Only debug builds tell the fuzzer which branches a Swift function took. Of two sanitizers the
# Swift driver tells the compiler only one, now this and now that; -Xfrontend names both.
REDCOL_FUZZ=1 env -u CC -u CXX swift build --scratch-path "$scratch" --product Fuzz \
  --sanitize fuzzer --sanitize address -Xswiftc -use-ld=lld \
  -Xswiftc -Xfrontend -Xswiftc -sanitize=address,fuzzer

# Inputs that reach something new are kept for later runs; one that fails is left beside them.
mkdir -p "$scratch/corpus"
export SWIFT_BACKTRACE=enable=no
"$scratch/debug/Fuzz" -max_total_time="${FUZZ_SECONDS:-15}" -max_len=4096 -rss_limit_mb=2048 \
  -malloc_limit_mb=256 -timeout=10 -print_final_stats=1 -verbosity=1 \
  -artifact_prefix="$scratch/" "$scratch/corpus" 2>"$scratch/log" || {
  tail -n 60 "$scratch/log" >&2
  exit 1
}
grep -E '^(Done|stat::(number_of_executed_units|new_units_added|peak_rss_mb))' "$scratch/log"
