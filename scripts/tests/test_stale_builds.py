# SPDX-License-Identifier: Apache-2.0
"""What another build left in a folder is removed when it would spoil the next one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings/python/tests"))

from packages import run  # noqa: E402

SCRIPT = ROOT / "scripts/discard_stale.sh"
TARGET = "x86_64-unknown-linux-gnu"
#: What SwiftPM leaves in its folder, and what others keep there.
MADE = (
    *(f"{TARGET}/release/libredcol.so", f"{TARGET}/debug/Fuzz", "build.db"),
    *("release.yaml", "debug.yaml"),
)
KEPT = ("corpus/input", "reports/python.xml", "workspace-state.json")


def prepare(folder: Path, *words: str, **variables: str) -> None:
    run(SCRIPT, folder, *words, **variables)


def files(folder: Path) -> set[str]:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return found - {"made-with"}


def fill(folder: Path) -> None:
    for name in (*MADE, *KEPT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder in which something was built with one of our scripts, in the order it does that."""
    folder = tmp_path / "folder"
    prepare(folder, "EMBEDDED=1", "-Osize")
    fill(folder)
    run(SCRIPT, "--built", folder)
    return folder


def plan_again(folder: Path) -> Path:
    """What a plain `swift build -c release` does first."""
    stamp = (folder / "made-with").stat()
    plan = folder / "release.yaml"
    os.utime(plan, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    return folder


def move(folder: Path) -> Path:
    return folder.rename(folder.with_name("elsewhere"))


def lose_the_stamp(folder: Path) -> Path:
    (folder / "made-with").unlink()
    return folder


def test_the_same_build_again_keeps_what_was_built(built: Path) -> None:
    prepare(built, "EMBEDDED=1", "-Osize")
    assert files(built) == {*MADE, *KEPT}


@pytest.mark.parametrize("change", [plan_again, move, lose_the_stamp])
def test_what_cannot_be_built_upon_is_removed(built: Path, change: Callable[[Path], Path]) -> None:
    folder = change(built)
    prepare(folder, "EMBEDDED=1", "-Osize")
    assert files(folder) == set(KEPT)


@pytest.mark.parametrize("words", [("EMBEDDED=0", "-Osize"), ("EMBEDDED=1",), ()])
def test_another_kind_of_build_begins_anew(built: Path, words: tuple[str, ...]) -> None:
    prepare(built, *words)
    assert files(built) == set(KEPT)


def test_another_toolchain_begins_anew(built: Path, tmp_path: Path) -> None:
    swift = tmp_path / "bin/swift"
    swift.parent.mkdir()
    swift.write_text("#!/bin/sh\necho Swift version 6.4\n")
    swift.chmod(0o755)
    prepare(built, "EMBEDDED=1", "-Osize", PATH=f"{swift.parent}{os.pathsep}{os.environ['PATH']}")
    assert files(built) == set(KEPT)


def test_a_folder_that_swiftpm_did_not_make_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "src/release").mkdir(parents=True)
    (tmp_path / "src/release/notes").touch()
    prepare(tmp_path)
    assert files(tmp_path) == {"src/release/notes"}
