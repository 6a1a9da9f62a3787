#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what others build with: install.sh LIBRARY, or takes it away again: install.sh --remove.
# PREFIX (/usr/local), LIBDIR, INCLUDEDIR and DOCDIR say where it will be; DESTDIR goes before them.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
includedir=${INCLUDEDIR:-$prefix/include}
docdir=${DOCDIR:-$prefix/share/doc/redcol}
root=${DESTDIR:-}
for folder in "$prefix" "$libdir" "$includedir" "$docdir"; do
  case $folder in
  /*) ;;
  *) printf 'install: %s must begin with /\n' "$folder" >&2 && exit 1 ;;
  esac
done

version=$(sed -n 's/^#define REDCOL_VERSION "\(.*\)"$/\1/p' include/redcol.h)
headers=(include/redcol.h bindings/cpp/*.hpp)
notices=(LICENSE THIRD_PARTY_NOTICES)
pkgconfig=$libdir/pkgconfig
cmake=$libdir/cmake/redcol

if [ "${1:-}" = --remove ]; then
  rm -f "$root$libdir"/libredcol.so{,.0,".$version"} "$root$pkgconfig/redcol.pc" \
    "$root$cmake"/redcolConfig{,Version}.cmake "$root$includedir/redcol/arrow_c_data.h"
  for header in "${headers[@]}"; do rm -f "$root$includedir/${header##*/}"; done
  for notice in "${notices[@]}"; do rm -f "$root$docdir/$notice"; done
  # Folders that others use, too, stay when they hold anything.
  for folder in "$cmake" "$libdir/cmake" "$pkgconfig" "$includedir/redcol" "$docdir"; do
    if [ -d "$root$folder" ]; then rmdir --ignore-fail-on-non-empty "$root$folder"; fi
  done
  exit 0
fi

# The path from folder $2 to folder $1, if $2 is inside the prefix; else $1 as it is.
relative() {
  case $2/ in
  "$prefix"/*) realpath --canonicalize-missing --relative-to="$2" "$1" ;;
  *) printf '%s' "$1" ;;
  esac
}

from_pc() {
  local path
  path=$(relative "$1" "$pkgconfig")
  case $path in
  /*) printf '%s' "${path// /\\ }" ;; # pkg-config escapes its own pcfiledir
  *) printf '${pcfiledir}/%s' "$path" ;;
  esac
}

fill() { # TEMPLATE FILE
  local text
  text=$(cat "$1")
  # The quotes keep bash from taking an & in a path for what was found.
  text=${text//@PREFIX@/"$(from_pc "$prefix")"}
  text=${text//@LIBDIR@/"$(from_pc "$libdir")"}
  text=${text//@INCLUDEDIR@/"$(from_pc "$includedir")"}
  text=${text//@VERSION@/"$version"}
  text=${text//@MAJOR@/"${version%%.*}"}
  text=${text//@LIBDIR_FROM_CMAKE@/"$(relative_to_cmake "$libdir")"}
  text=${text//@INCLUDEDIR_FROM_CMAKE@/"$(relative_to_cmake "$includedir")"}
  printf '%s\n' "$text" >"$2"
}
relative_to_cmake() { realpath --canonicalize-missing --relative-to="$cmake" "$1"; }

install -d "$root$libdir" "$root$includedir/redcol" "$root$pkgconfig" "$root$cmake" "$root$docdir"
install -m 644 "$1" "$root$libdir/libredcol.so.$version"
ln -sf "libredcol.so.$version" "$root$libdir/libredcol.so.0"
ln -sf libredcol.so.0 "$root$libdir/libredcol.so"
install -m 644 "${headers[@]}" "$root$includedir"
install -m 644 include/redcol/arrow_c_data.h "$root$includedir/redcol"
install -m 644 "${notices[@]}" "$root$docdir"
fill bindings/cpp/install/redcol.pc.in "$root$pkgconfig/redcol.pc"
for name in redcolConfig.cmake redcolConfigVersion.cmake; do
  fill "bindings/cpp/install/$name.in" "$root$cmake/$name"
done
printf 'installed redcol %s into %s\n' "$version" "$root$prefix"
if [ -z "$root" ] && [ "$(id -u)" -eq 0 ]; then
  printf 'run ldconfig if %s is one of the folders that it looks at\n' "$libdir"
fi
