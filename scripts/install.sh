#!/usr/bin/env bash
# Installs what others build with: install.sh LIBRARY, or takes it away again: install.sh --remove.
# PREFIX (/usr/local), LIBDIR and INCLUDEDIR say where it will be; DESTDIR goes before all of them.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
includedir=${INCLUDEDIR:-$prefix/include}
root=${DESTDIR:-}
for folder in "$prefix" "$libdir" "$includedir"; do
  case $folder in
  /*) ;;
  *) printf 'install: %s must begin with /\n' "$folder" >&2 && exit 1 ;;
  esac
done

version=$(sed -n 's/^#define REDCOL_VERSION "\(.*\)"$/\1/p' include/redcol.h)
headers=(include/redcol.h include/arrow_c_data.h bindings/cpp/redcol.hpp)
headers+=(bindings/cpp/redcol_columns.hpp)
pkgconfig=$libdir/pkgconfig
cmake=$libdir/cmake/redcol

if [ "${1:-}" = --remove ]; then
  rm -f "$root$libdir"/libredcol.so{,.0,".$version"} "$root$pkgconfig/redcol.pc" \
    "$root$cmake"/redcolConfig{,Version}.cmake
  for header in "${headers[@]}"; do rm -f "$root$includedir/${header##*/}"; done
  # Folders that others use, too, stay when they hold anything.
  for folder in "$cmake" "$libdir/cmake" "$pkgconfig"; do
    if [ -d "$root$folder" ]; then rmdir --ignore-fail-on-non-empty "$root$folder"; fi
  done
  exit 0
fi

fill() { # TEMPLATE FILE
  local from_cmake="realpath --canonicalize-missing --relative-to=$cmake"
  sed -e "s|@PREFIX@|$prefix|g; s|@LIBDIR@|$libdir|g; s|@INCLUDEDIR@|$includedir|g" \
    -e "s|@VERSION@|$version|g; s|@MAJOR@|${version%%.*}|g" \
    -e "s|@LIBDIR_FROM_CMAKE@|$($from_cmake "$libdir")|g" \
    -e "s|@INCLUDEDIR_FROM_CMAKE@|$($from_cmake "$includedir")|g" "$1" >"$2"
}

install -d "$root$libdir" "$root$includedir" "$root$pkgconfig" "$root$cmake"
install -m 755 "$1" "$root$libdir/libredcol.so.$version"
ln -sf "libredcol.so.$version" "$root$libdir/libredcol.so.0"
ln -sf libredcol.so.0 "$root$libdir/libredcol.so"
install -m 644 "${headers[@]}" "$root$includedir"
fill bindings/cpp/install/redcol.pc.in "$root$pkgconfig/redcol.pc"
for name in redcolConfig.cmake redcolConfigVersion.cmake; do
  fill "bindings/cpp/install/$name.in" "$root$cmake/$name"
done
printf 'installed redcol %s into %s\n' "$version" "$root$prefix"
if [ -z "$root" ] && [ "$(id -u)" -eq 0 ]; then
  printf 'run ldconfig if %s is one of the folders that it looks at\n' "$libdir"
fi
