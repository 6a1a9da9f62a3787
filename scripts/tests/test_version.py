# SPDX-License-Identifier: Apache-2.0
"""include/redcol.h says the version; everything else that names one says the same."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "bindings/python"))

from check_abi import last_release, version  # noqa: E402

from hatch_build import read_version  # noqa: E402
from redcol import _native  # noqa: E402

HEADER = (ROOT / "include/redcol.h").read_text()
NUMBERS = version(HEADER)
VERSION = ".".join(map(str, NUMBERS))
MAJOR_MINOR = VERSION.rpartition(".")[0]


def only(pattern: str, path: str) -> str:
    (found,) = re.findall(pattern, (ROOT / path).read_text(), re.MULTILINE)
    return str(found)


def test_the_header_says_it_twice_alike() -> None:
    assert only(r'^#define REDCOL_VERSION "(.+)"$', "include/redcol.h") == VERSION
    # The SONAME's number goes up when something breaks, which a first zero does not hide.
    assert NUMBERS[0] == 0


def test_the_library_has_it() -> None:
    assert _native.version() == VERSION
    major, minor, patch = NUMBERS
    number = _native.library().redcol_version_number()
    assert number == major * 10_000 + minor * 100 + patch


def test_the_python_package_has_it() -> None:
    assert read_version() == VERSION
    assert _native.INTERFACE_VERSION == MAJOR_MINOR


def test_the_crate_has_it() -> None:
    assert only(r'^version = "(.+)"$', "bindings/rust/Cargo.toml") == VERSION


def test_the_interface_is_recorded_under_it() -> None:
    assert last_release() == ROOT / f"include/abi/redcol-{VERSION}.h"


def test_documents_say_it() -> None:
    assert only(r"^find_package\(redcol (\S+) REQUIRED\)$", "docs/installing.md") == MAJOR_MINOR
    # The newest of the released versions, or what is to be the first.
    headings = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    newest = headings[0] if headings else only(r"^The first version, (\S+)\.$", "CHANGELOG.md")
    assert newest == VERSION
