#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the library into FOLDER/release/libredcol.so: build.sh FOLDER (.build if not given).
# EMBEDDED=0 builds it with Swift's own runtime instead of as Embedded Swift.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-.build}
exports=Sources/RedcolABI/exports.map
library=$folder/release/libredcol.so
environment=(-u CC -u CXX) # which break SwiftPM's C targets

fail() { printf 'redcol: %s\n' "$*" >&2 && exit 1; }

version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' || true)
if [ "$(printf '%s\n' 6.3 "${version:-0}" | sort -V | head -n 1)" != 6.3 ]; then
  fail "redcol's core is written in Swift: building it needs Swift 6.3 or later, and" \
    "${version:+only Swift }${version:-no \`swift\`} was found. See https://www.swift.org/install"
fi
for header in hiredis/hiredis.h fast_float/fast_float.h; do
  if [ ! -e "/usr/include/$header" ] && [ ! -e "/usr/local/include/$header" ]; then
    fail "$header is missing: apt-get install libhiredis-dev libfast-float-dev"
  fi
done

# The library carries hiredis in itself, and shows the symbols of its header only. nodelete: batches
# are released by its code, whoever has closed it.
# For size: 3 percent more instructions an entry of a range.
flags=(-c release -Xswiftc -Osize --product redcol --scratch-path "$folder" -Xswiftc -use-ld=lld)
for flag in "--version-script=$exports" -soname=libredcol.so.0 --gc-sections \
  -z defs -z nodelete -z relro -z now -T "$PWD/scripts/discard.ld"; do
  flags+=(-Xlinker "$flag")
done
# KEEP_SYMBOLS=ID: with debug symbols, and as the library that has this build id without them.
if [ -n "${KEEP_SYMBOLS:-}" ]; then
  flags+=(-Xlinker "--build-id=0x$KEEP_SYMBOLS")
else
  flags+=(-Xlinker -s -Xlinker --build-id=sha1)
fi

# What packagers ask for: words as a shell would split them, without its other rules.
read -ra words <<<"${CFLAGS:-}"
for word in "${words[@]}"; do flags+=(-Xcc "$word"); done
read -ra words <<<"${CXXFLAGS:-}"
for word in "${words[@]}"; do flags+=(-Xcxx "$word"); done
read -ra words <<<"${LDFLAGS:-}"
for word in "${words[@]}"; do
  # swiftc calls the linker itself: -Wl,a,b is a and b.
  IFS=, read -ra parts <<<"${word#-Wl,}"
  for part in "${parts[@]}"; do flags+=(-Xlinker "$part"); done
done

if [ "${EMBEDDED:-1}" = 1 ]; then
  target=$(swift -print-target-info)
  resources=$(sed -n 's/.*"runtimeResourcePath" *: *"\(.*\)".*/\1/p' <<<"$target" | head -n 1)
  if [ ! -e "$resources/embedded/Swift.swiftmodule" ]; then
    fail "this Swift has no Embedded Swift ($resources/embedded): build with EMBEDDED=0"
  fi
  # Not linked: Swift's tables of Unicode (_swift_stdlib_getNormData and others), 80 kB. What asks
  # for them is a comparison that CompareTexts.swift does not have, or the characters of a text.
  # Nor is C++'s library, which would ask for a newer libc than all the rest does.
  # Equal functions share their code: nothing here compares the addresses of functions.
  flags+=(-Xlinker -lm -Xlinker --icf=all)
  environment+=(REDCOL_EMBEDDED=1)
else
  flags+=(-Xswiftc -static-stdlib)
fi

# SwiftPM does not look at what only the linker reads.
shopt -s nullglob
linked=("$exports" scripts/discard.ld /usr/{lib/*,local/lib*}/libhiredis.a)
digest=$(sha256sum "${linked[@]}")
scripts/discard_stale.sh "$folder" "${environment[@]}" "${flags[@]}" "$digest"
status=0
env "${environment[@]}" swift build "${flags[@]}" || status=$?
scripts/discard_stale.sh --built "$folder"
if [ "$status" -ne 0 ]; then exit "$status"; fi
ln -sf libredcol.so "$library.0"
