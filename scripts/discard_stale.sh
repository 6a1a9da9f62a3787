#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Empties a folder that SwiftPM builds in, if what it holds cannot be built upon:
# discard_stale.sh FOLDER [WORD]... before a build, where WORDs say how it is built, and
# discard_stale.sh --built FOLDER after it.
#
# Compiled modules name the folder and the compiler that made them: after either has changed, the
# build fails. A plain `swift build -c release` leaves the modules of the rooms behind, at which the
# Embedded build fails. Only what SwiftPM made is removed: reports and a fuzzer's inputs stay.
set -euo pipefail

if [ "$1" = --built ]; then
  # A plan that is newer than this was not made by our scripts.
  if [ -e "$2/made-with" ]; then touch "$2/made-with"; fi
  exit 0
fi
folder=$1
shift
stamp=$folder/made-with
where=$(realpath --canonicalize-missing "$folder")
made_with=$(printf '%s\n' "$where" "$(swift --version 2>&1)" "$@")
if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$made_with" ] &&
  [ ! "$folder/release.yaml" -nt "$stamp" ]; then
  exit 0
fi
if [ -e "$folder/build.db" ]; then
  rm -rf "$folder"/{debug,release}{,.yaml} "$folder"/*/{debug,release} "$folder/build.db"
fi
mkdir -p "$folder"
printf '%s\n' "$made_with" >"$stamp"
