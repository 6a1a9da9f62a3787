# SPDX-License-Identifier: Apache-2.0
"""Compares include/redcol.h with the interface of the last release: nothing there may change.

check_abi.py [HEADER [RELEASED]]
check_abi.py --record   keep the header as it is now as the interface of its version

A library without code is built from either header, and abidiff compares the two as a linker and a
debugger see them: functions, their parameters, and the structs that those point to. What no
function shows, the values of constants, is compared by name. Functions and constants may be added.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from c_header import constants, functions, without_comments

ROOT = Path(__file__).resolve().parents[1]
HEADER = ROOT / "include/redcol.h"
RELEASES = ROOT / "include/abi"


def version(header: str) -> tuple[int, ...]:
    """The version that a header says."""
    found = dict(re.findall(r"#define REDCOL_VERSION_(\w+) (\d+)", header))
    return tuple(int(found[part]) for part in ("MAJOR", "MINOR", "PATCH"))


def last_release() -> Path:
    """The interface of the newest version that was recorded."""
    return max(RELEASES.glob("redcol-*.h"), key=lambda path: version(path.read_text()))


def stub(header: str, folder: Path, name: str) -> Path:
    """A shared library with the functions of a header, and nothing in them."""
    (folder / name).mkdir()
    (folder / name / "redcol.h").write_text(header)
    bodies = [
        declared.rstrip(";") + " { __builtin_trap(); }" for declared in functions(header).values()
    ]
    source = folder / name / "stub.c"
    source.write_text('#include "redcol.h"\n' + "\n".join(bodies) + "\n")
    library = folder / name / "libredcol.so"
    includes = [f"-I{folder / name}", f"-I{ROOT / 'include'}"]
    command = ["gcc", "-std=c11", "-g", "-shared", "-fPIC", "-Wl,-soname,libredcol.so.0"]
    subprocess.run([*command, *includes, source, "-o", library], check=True)
    return library


def differences(released: str, header: str) -> list[str]:
    """What was released and is no longer so."""
    found = []
    now = constants(header)
    for name, value in constants(released).items():
        if now.get(name) != value:
            found.append(f"{name} was {value}, and is {now.get(name, 'gone')}")
    with tempfile.TemporaryDirectory() as folder:
        pair = [stub(text, Path(folder), name) for text, name in ((released, "a"), (header, "b"))]
        command = ["abidiff", "--no-added-syms", "--no-show-locs", *pair]
        result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        found.append(result.stdout + result.stderr)
    return found


def main(arguments: list[str]) -> int:
    """Compare or record; 1 if something has changed that must not."""
    if arguments == ["--record"]:
        header = HEADER.read_text()
        target = RELEASES / f"redcol-{'.'.join(map(str, version(header)))}.h"
        said = (
            f"/* The interface of redcol {target.stem[7:]}, as scripts/check_abi.py keeps it. */\n"
        )
        target.write_text(said + without_comments(header))
        print(target.relative_to(ROOT))
        return 0
    header = Path(arguments[0]) if arguments else HEADER
    released = Path(arguments[1]) if len(arguments) > 1 else last_release()
    found = differences(released.read_text(), header.read_text())
    if found:
        print(f"{header.name} breaks the interface of {released.name}:", *found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
