# SPDX-License-Identifier: Apache-2.0
"""`make install`: what it puts where, and programs that are built against it elsewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_c_examples import EVENTS, EVENTS_PRINTED, EXAMPLE, LIBRARY, ROOT

from servers import Server

HEADERS = ["redcol.h", "redcol/arrow_c_data.h"]
HEADERS += sorted(path.name for path in Path(__file__).parents[1].glob("*.hpp"))
NOTICES = ["LICENSE", "THIRD_PARTY_NOTICES"]
VERSION = re.findall(r'REDCOL_VERSION "(.*)"', (ROOT / "include/redcol.h").read_text())[0]
CMAKE_LISTS = """\
cmake_minimum_required(VERSION 3.16)
project(reader C CXX)
find_package(redcol {version} REQUIRED)
add_executable(reader_c reader.c)
add_executable(reader_cpp reader.cpp)
target_link_libraries(reader_c PRIVATE redcol::redcol)
target_link_libraries(reader_cpp PRIVATE redcol::redcol)
"""


def run(*command: object, **variables: str) -> str:
    result = attempt(*command, **variables)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def attempt(*command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    # `make test` passes its own variables on to the `make` in here.
    dropped = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PREFIX", "LIBDIR", "INCLUDEDIR", "DESTDIR"}
    dropped |= {"DOCDIR"}
    environment = {k: v for k, v in os.environ.items() if k not in dropped}
    words = [str(word) for word in command]
    return subprocess.run(
        words, env={**environment, **variables}, capture_output=True, text=True, timeout=900
    )


def make(target: str, **variables: object) -> None:
    words = [f"{name}={value}" for name, value in variables.items()]
    run("make", "-C", ROOT, target, f"LIBRARY={LIBRARY.resolve()}", *words)


def tree(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prefix")
    make("install", PREFIX=folder)
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as a program of somebody else's, far from this checkout."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in ("reader.c", "reader.cpp"):
        shutil.copy(EXAMPLE, folder / name)
    return folder


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Server(tcp=True) as server, server.client() as client:
        for entry_id, fields in EVENTS:
            client.xadd("events", fields, id=entry_id)
        yield server.url


@pytest.mark.parametrize("compiler", [("gcc", "reader.c"), ("g++", "reader.cpp")])
def test_pkg_config(
    compiler: tuple[str, str], prefix: Path, sources: Path, url: str, tmp_path: Path
) -> None:
    # Moved as a whole, to a folder whose name a shell would split and sed would misread.
    moved = tmp_path / "R & D"
    shutil.copytree(prefix, moved, symlinks=True)
    prefix = moved

    def asked(*words: str) -> list[str]:
        path = str(prefix / "lib/pkgconfig")
        return shlex.split(run("pkg-config", *words, "redcol", PKG_CONFIG_PATH=path))

    assert asked("--modversion") == [VERSION]
    program = tmp_path / "reader"
    name, source = compiler
    flags = asked("--cflags", "--libs")
    run(name, "-Wall", "-Wextra", "-Werror", sources / source, *flags, "-o", program)
    path = str(prefix / "lib")
    assert run(program, url, "events", LD_LIBRARY_PATH=path) == EVENTS_PRINTED
    # It asks for the name that stays when the library is replaced by a newer one.
    assert "libredcol.so.0]" in run("readelf", "--dynamic", program)


def test_find_package(prefix: Path, sources: Path, url: str, tmp_path: Path) -> None:
    # Moved as a whole, too: the CMake files know no absolute path.
    moved = tmp_path / "moved"
    shutil.copytree(prefix, moved, symlinks=True)
    project = tmp_path / "project"
    shutil.copytree(sources, project)
    (project / "CMakeLists.txt").write_text(CMAKE_LISTS.format(version=VERSION))
    built = tmp_path / "built"
    run("cmake", "-S", project, "-B", built, f"-DCMAKE_PREFIX_PATH={moved}")
    run("cmake", "--build", built)
    for name in ("reader_c", "reader_cpp"):
        assert run(built / name, url, "events") == EVENTS_PRINTED


@pytest.mark.parametrize(("wanted", "fits"), [("0.1", True), ("0.99", False), ("1.0", False)])
def test_find_package_looks_at_the_version(
    wanted: str, fits: bool, prefix: Path, sources: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(sources, project)
    (project / "CMakeLists.txt").write_text(CMAKE_LISTS.format(version=wanted))
    result = attempt(
        "cmake", "-S", project, "-B", tmp_path / "built", f"-DCMAKE_PREFIX_PATH={prefix}"
    )
    assert (result.returncode == 0) == fits, result.stderr
    if not fits:
        assert f"version: {VERSION}" in result.stderr


def test_a_packager_chooses_the_folders_and_uninstall_removes_all(tmp_path: Path) -> None:
    libdir = "/usr/lib/x86_64-linux-gnu"
    theirs = tmp_path / "usr/lib/x86_64-linux-gnu/pkgconfig/other.pc"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("")
    folders = {"DESTDIR": tmp_path, "PREFIX": "/usr", "LIBDIR": libdir}
    make("install", **folders)
    inside = libdir[1:]
    assert tree(tmp_path) == sorted(
        [f"usr/include/{name}" for name in HEADERS]
        + [f"usr/share/doc/redcol/{name}" for name in NOTICES]
        + [f"{inside}/libredcol.so{end}" for end in ("", ".0", f".{VERSION}")]
        + [f"{inside}/cmake/redcol/redcolConfig{end}.cmake" for end in ("", "Version")]
        + [f"{inside}/pkgconfig/{name}.pc" for name in ("other", "redcol")]
    )
    folder = tmp_path / inside
    assert os.readlink(folder / "libredcol.so") == "libredcol.so.0"
    assert os.readlink(folder / "libredcol.so.0") == f"libredcol.so.{VERSION}"
    for path in (folder / "pkgconfig/redcol.pc", *(folder / "cmake/redcol").iterdir()):
        text = path.read_text()
        assert str(tmp_path) not in text
        assert not re.search(r"@[A-Z_]+@", text)
    make("uninstall", **folders)
    assert tree(tmp_path) == [f"{inside}/pkgconfig/other.pc"]


def test_a_prefix_may_have_any_name(tmp_path: Path) -> None:
    odd = tmp_path / "a & b | c"
    # make splits what it is given on its command line, but not what is in the environment.
    run("make", "-C", ROOT, "install", f"LIBRARY={LIBRARY.resolve()}", PREFIX=str(odd))
    said = run("pkg-config", "--cflags", "redcol", PKG_CONFIG_PATH=str(odd / "lib/pkgconfig"))
    assert Path(shlex.split(said)[0].removeprefix("-I")).resolve() == odd / "include"
    run("make", "-C", ROOT, "uninstall", PREFIX=str(odd))
    assert tree(odd) == []


def test_a_library_elsewhere_is_named_by_its_whole_path(tmp_path: Path) -> None:
    folders = {"PREFIX": tmp_path / "usr", "LIBDIR": tmp_path / "elsewhere"}
    make("install", **folders)
    path = str(tmp_path / "elsewhere/pkgconfig")
    said = run("pkg-config", "--cflags", "--libs", "redcol", PKG_CONFIG_PATH=path)
    assert str(tmp_path / "usr/include") in said
    assert str(tmp_path / "elsewhere") in said


def test_the_installed_files_are_no_programs(prefix: Path) -> None:
    library = prefix / f"lib/libredcol.so.{VERSION}"
    assert library.stat().st_mode & 0o777 == 0o644


def test_a_relative_prefix_is_refused() -> None:
    result = attempt(ROOT / "scripts/install.sh", LIBRARY, PREFIX="usr")
    assert (result.returncode, result.stderr) == (1, "install: usr must begin with /\n")
