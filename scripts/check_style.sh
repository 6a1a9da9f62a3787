#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Looks for what formatters do not see: files and lines that are too long, files that do not name
# their license, and words that can abort the host.
set -euo pipefail
cd "$(dirname "$0")/.."

lines_max=600
columns_max=100
findings=$(
  find Sources Tests include bindings scripts -type f \
    -regextype posix-extended -regex '.*\.(swift|c|h|cpp|hpp|py|sh)' -print0 |
    while IFS= read -r -d '' file; do
      lines=$(wc -l <"$file")
      # redcol.h is the whole manual of the interface, in one piece.
      if [ "$lines" -gt "$lines_max" ] && [ "$file" != include/redcol.h ]; then
        echo "$file: $lines lines, more than $lines_max"
      fi
      if ! grep -q "SPDX-License-Identifier: Apache-2.0" "$file" &&
        [[ "$file" != include/abi/* ]]; then
        echo "$file: no line that names its license"
      fi
      LC_ALL=C.UTF-8 grep -nE "^.{$((columns_max + 1)),}" "$file" |
        sed "s|^\([0-9]*\):.*|$file:\1: more than $columns_max columns|" || true
    done
  grep -rnE --include='*.swift' '\b(fatalError|preconditionFailure)\b|\b(try|as)!' Sources |
    sed 's/$/   <- can abort the program that embeds us/' || true
)
if [ -n "$findings" ]; then
  printf '%s\n' "$findings" >&2
  exit 1
fi
