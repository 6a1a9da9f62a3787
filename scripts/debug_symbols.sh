#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes the debug symbols of a library that was built without them: debug_symbols.sh LIBRARY FILE.
# The same sources are built once more, and give the same code; gdb finds FILE by the build id when
# it lies in /usr/lib/debug/.build-id/, or is told with `symbol-file`.
set -euo pipefail
cd "$(dirname "$0")/.."

library=$1 file=$2
fail() { printf 'debug-symbols: %s\n' "$*" >&2 && exit 1; }

id=$(readelf --notes "$library" | sed -n 's/.*Build ID: *//p')
[ -n "$id" ] || fail "$library has no build id"
build=.build-symbols
KEEP_SYMBOLS=$id scripts/build.sh "$build" >&2

# .text is where the two must agree: else these are another library's symbols.
text() { readelf --hex-dump=.text "$1" | sha256sum; }
if [ "$(text "$library")" != "$(text "$build/release/libredcol.so")" ]; then
  fail "$library was built from other sources, or with other flags, than are here now"
fi
mkdir -p "$(dirname "$file")"
objcopy --only-keep-debug "$build/release/libredcol.so" "$file"
printf '%s\n' "$file"
