#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compares three lists that must agree: the header's functions, exports.map, the library's symbols;
# and looks whether the library needs another one that is not on every machine.
set -euo pipefail
cd "$(dirname "$0")/.."

library=${1:-.build/release/libredcol.so}
lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT

# The header without its comments, then every redcol_… that an opening parenthesis follows.
tr '\n' ' ' <include/redcol.h | sed -E 's:/\*([^*]|\*+[^*/])*\*+/: :g' |
  grep -oE '\bredcol_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u >"$lists/header"
sed -n '/global:/,/local:/p' Sources/RedcolABI/exports.map |
  grep -oE '\bredcol_[a-z0-9_]+\b' | sort -u >"$lists/exports"
# An A is the name of the version that stands behind the @ of the others.
nm -D --defined-only "$library" | awk '$2 != "A" { sub("@.*", "", $3); print $3 }' |
  sort -u >"$lists/library"

failed=0
compare() {
  local other=$1 difference
  difference=$(diff "$lists/header" "$lists/$other" |
    sed -n "s/^</  only in the header:/p; s/^>/  only in $3:/p" || true)
  if [ -n "$difference" ]; then
    printf 'the header and %s differ:\n%s\n' "$2" "$difference" >&2
    failed=1
  fi
}
if [ ! -s "$lists/header" ]; then echo "no function found in include/redcol.h" >&2 && exit 1; fi
compare exports Sources/RedcolABI/exports.map "the list of exports"
compare library "$library" "the library"

# libc's own, and those that a C++ compiler and the loader bring.
everywhere='^(lib(c|m|stdc\+\+|gcc_s)|ld-linux-x86-64)\.so\.[0-9]+$'
needed=$(readelf --dynamic "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p')
for other in $needed; do
  if ! grep -qE "$everywhere" <<<"$other"; then
    echo "the library needs $other at run time" >&2
    failed=1
  fi
done
exit "$failed"
