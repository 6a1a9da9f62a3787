# SPDX-License-Identifier: Apache-2.0
"""Building from source, as pip does it: from an sdist, from git, and without Swift."""

from __future__ import annotations

import os
import re
import tarfile
from pathlib import Path

import pytest

from packages import (
    PROJECT,
    ROOT,
    attempt,
    build,
    clean_python,
    copy_checkout,
    path_without_swift,
    run,
)

#: Left out of `make check`.
pytestmark = pytest.mark.slow

#: What `make build` has made of the same sources.
LIBRARY = Path(os.environ.get("REDCOL_LIBRARY", ROOT / ".build/release/libredcol.so"))
PIP_INSTALL = ("-m", "pip", "install", "--no-deps", "--no-build-isolation")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", PROJECT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this checkout holds now, as a git repository of somebody else's."""
    folder = tmp_path_factory.mktemp("repository")
    copy_checkout(folder)
    run("git", "init", "--quiet", cwd=folder)
    run("git", "add", "--all", "--force", cwd=folder)
    name = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
    run("git", *name, "commit", "--quiet", "--message", "all", cwd=folder)
    return folder


def check_library(python: Path, folder: Path) -> None:
    """The library that an environment loads: its own, and byte for byte that of this checkout."""
    program = "import redcol._native as n; print(n.library()._name)"
    library = Path(run(python, "-c", program, cwd=folder).strip())
    assert library.is_relative_to(folder / "clean")
    assert library.read_bytes() == LIBRARY.read_bytes(), "the folder changes what is built"


def test_from_an_sdist(sdist: Path, tmp_path: Path) -> None:
    python = clean_python(tmp_path / "clean")
    run(python, *PIP_INSTALL, sdist)
    check_library(python, tmp_path)


def test_from_git(repository: Path, tmp_path: Path) -> None:
    python = clean_python(tmp_path / "clean")
    run(python, *PIP_INSTALL, f"git+file://{repository}#subdirectory=bindings/python")
    check_library(python, tmp_path)


def test_an_sdist_holds_the_sources_of_the_library(sdist: Path) -> None:
    with tarfile.open(sdist) as file:
        names = {name.split("/", 1)[1] for name in file.getnames()}
    tracked = run("git", "ls-files", "Sources", "include", "Package.swift", "LICENSE", cwd=ROOT)
    missing = {f"core/{name}" for name in tracked.split()} - names
    assert missing == set()
    assert {"hatch_build.py", "src/redcol/__init__.py", "core/scripts/build.sh"} <= names
    assert "examples/read_range.py" in names
    assert {
        "LICENSE",
        "core/Makefile",
        "core/scripts/install.sh",
        "core/bindings/cpp/redcol.hpp",
    } <= names
    assert not [name for name in names if ".build" in name or name.endswith((".so", ".pyc"))]


def test_a_missing_swift_is_said_plainly(sdist: Path, tmp_path: Path) -> None:
    python = clean_python(tmp_path / "clean")
    result = attempt(python, *PIP_INSTALL, sdist, PATH=path_without_swift())
    assert result.returncode == 1
    assert "building it needs Swift 6.3 or later, and no `swift` was found" in result.stdout
    assert "Traceback" not in result.stdout


def test_a_library_that_is_not_there_is_said_plainly(sdist: Path, tmp_path: Path) -> None:
    python = clean_python(tmp_path / "clean")
    result = attempt(python, *PIP_INSTALL, sdist, REDCOL_LIBRARY="/nowhere/libredcol.so")
    assert result.returncode == 1
    assert "REDCOL_LIBRARY is /nowhere/libredcol.so, which is not a file" in result.stdout
    assert "Traceback" not in result.stdout


def test_a_plain_swift_build_does_not_spoil_the_next_build(tmp_path: Path) -> None:
    """Others are in scripts/tests/test_stale_builds.py; this one shows what the build does."""
    copy_checkout(tmp_path)
    plain = ("swift", "build", "-c", "release", "--target", "ArrowColumns")
    run("env", "-u", "CC", "-u", "CXX", *plain, cwd=tmp_path)
    assert list((tmp_path / ".build").glob("*/release/Modules/ArrowColumns.swiftmodule"))
    run(tmp_path / "scripts/build.sh", ".build", cwd=tmp_path)
    assert (tmp_path / ".build/release/libredcol.so").read_bytes() == LIBRARY.read_bytes()
    assert not list((tmp_path / ".build").glob("*/release/Modules/ArrowColumns.swiftmodule"))


def test_debug_symbols_belong_to_the_library(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.fail("this test builds the checkout")
    symbols = tmp_path / "libredcol.so.debug"
    run(ROOT / "scripts/debug_symbols.sh", LIBRARY.resolve(), symbols)

    def build_id(file: Path) -> str:
        return re.findall(r"Build ID: (\w+)", run("readelf", "--notes", file))[0]

    assert build_id(symbols) == build_id(LIBRARY)
    listed = run("nm", symbols)
    address = re.findall(r"^([0-9a-f]+) \w redcol_open$", listed, re.MULTILINE)[0]
    assert "Exports.swift:" in run("addr2line", "--exe", symbols, address)


def test_flags_of_packagers_are_used() -> None:
    script = (ROOT / "scripts/build.sh").read_text()
    begin, end = script.index("flags=("), script.index('if [ "${EMBEDDED')
    words = f'exports=x folder=y\n{script[begin:end]}\nprintf "%s\\n" "${{flags[@]}}"'
    flags = {"CFLAGS": "-O1 -DONE", "CXXFLAGS": "-DTWO", "LDFLAGS": "-Wl,-z,pack-relative -L/x"}
    said = " ".join(run("bash", "-euc", words, **flags).split())
    assert "-Xcc -O1 -Xcc -DONE -Xcxx -DTWO" in said
    assert "-Xlinker -z -Xlinker pack-relative -Xlinker -L/x" in said
