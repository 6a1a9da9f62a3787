#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building and testing need and is missing: Debian packages, a .venv for Python,
# another with the oldest Polars, one with Spark and Ray, and one for the site.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  libhiredis-dev libfast-float-dev # what the library is built from
  libc6-dev gcc g++ binutils pkg-config cmake
  redis-server valgrind openssl libssl3 groff-base zsh fish # what the tests run
  openjdk-17-jre-headless # Spark
  luajit ruby openjdk-17-jdk-headless libjna-java # the examples in other languages
  chromium # looks at the site
  abigail-tools cppcheck # compare the interface with the last release's, and look at C and C++
)

# The crate's tests; a toolchain that is there already will do.
if ! command -v cargo >/dev/null; then packages+=(rustc cargo); fi

say() { printf 'setup: %s\n' "$*" >&2; }

find_python() {
  local name
  for name in python3.13 python3.12 python3.11 python3; do
    if "$name" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>&-; then
      echo "$name"
      return
    fi
  done
}

# The oldest and the newest Python that redcol supports and that are here: on the PATH, or pyenv's.
find_other_pythons() {
  local version python found=()
  for version in 3.10 3.12 3.13 3.14; do
    for python in "$(command -v "python$version" || true)" \
      "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
      if "$python" -c "import sys, venv; sys.exit(sys.version_info[:2] != (3, ${version#*.}))" \
        2>&-; then
        found+=("$version=$python")
        break
      fi
    done
  done
  if [ "${#found[@]}" -gt 0 ]; then printf '%s\n' "${found[0]}" "${found[-1]}" | sort -u; fi
}

# RUNLEVEL=1: the redis-server that apt installs shall not start and listen on the public port.
install_packages() {
  say "installing $*"
  local root=(env)
  if [ "$(id -u)" -ne 0 ]; then root=(sudo env); fi
  "${root[@]}" DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${root[@]}" DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

swift_version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p')
if [ "$(printf '%s\n' 6.3 "${swift_version:-0}" | sort -V | head -n 1)" != 6.3 ]; then
  say "found Swift ${swift_version:-nowhere}, but 6.3 is needed: https://www.swift.org/install"
  exit 1
fi

# The tests of the wheel run with these, too.
for other in $(find_other_pythons); do
  folder=.venv-python${other%%=*}
  if [ -e "$folder/.complete" ]; then continue; fi
  say "making $folder"
  "${other#*=}" -m venv --clear "$folder"
  pip=("$folder/bin/python" -m pip install --quiet --disable-pip-version-check polars pytest redis)
  "${pip[@]}" || { say "once more" && "${pip[@]}"; }
  touch "$folder/.complete"
done

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat '${Status}' "$package" 2>/dev/null || true)
  if [ "$status" != "install ok installed" ]; then missing+=("$package"); fi
done
if [ ! -x .venv/bin/python ] && [ -z "$(find_python)" ]; then missing+=(python3 python3-venv); fi
if [ "${#missing[@]}" -gt 0 ]; then install_packages "${missing[@]}"; fi

# Fills an environment with what its list says, unless that was done before.
fill() {
  local environment=$1 requirements=$2
  local stamp python
  stamp=$environment/.requirements-$(sha256sum "$requirements" | cut -c 1-16)
  if [ -e "$stamp" ]; then return; fi

  if ! "$environment/bin/python" -c '' 2>/dev/null; then
    python=$(find_python)
    if [ -z "$python" ]; then
      say "Python 3.11 or later with its venv module is needed"
      exit 1
    fi
    say "making $environment with $("$python" --version)"
    "$python" -m venv --clear "$environment"
  fi
  say "installing the packages of $requirements into $environment"
  local pip=("$environment/bin/python" -m pip install --quiet --disable-pip-version-check)
  pip+=(-r "$requirements")
  "${pip[@]}" || { say "once more" && "${pip[@]}"; }
  rm -f "$environment"/.requirements-*
  touch "$stamp"
}

fill .venv bindings/python/requirements-dev.txt
fill .venv-oldest-polars bindings/python/requirements-oldest.txt
fill .venv-engines bindings/python/requirements-engines.txt
fill .venv-docs bindings/python/requirements-docs.txt
