# SPDX-License-Identifier: Apache-2.0
"""Checks that imports only go down, and that documents name folders that exist.

usage: check_rooms.py [ROOT]

The rooms are the targets of Package.swift, from the ground up. A room may depend on rooms that
stand before it, and its files may import only what it depends on, directly or not.
docs/architecture.md has a picture in Mermaid: each room of Sources must be in it, each node without
a label and each path must be a folder of the project, and each arrow must be an import.
CONTRIBUTING.md has a table of the rooms: it must have a row for each.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
IMPORT = re.compile(r"^ *(?:@\w+ +)*(?:\w+ +)?import +(?:[a-z]+ +)?(\w+)", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
MODULE = re.compile(r"^\s*(?:\w+\s+)?module\s+(\w+)", re.MULTILINE)
PICTURE = re.compile(r"^```mermaid\n(.*?)^```", re.MULTILINE | re.DOTALL)
ARROW = re.compile(r"\s*[-=.]{2,}>(?:\|[^|]*\|)?\s*")
#: A node of a picture, and the bracket that begins its label.
NODE = re.compile(r"(\w+)\s*([\[({>]?)")
#: A row of a table that begins with a path.
ROW = re.compile(r"^\| `([\w/]+?)/?` \|", re.MULTILINE)
#: Words of a picture with a slash in them.
PATH = re.compile(r"(?<![\w/.-])(?:[\w.-]+/)+(?:[\w.-]+)?")


@dataclass
class Room:
    """A target of the package: where its files are, and the targets that it names."""

    name: str
    folder: Path
    dependencies: list[str]

    def modules(self) -> set[str]:
        """What others write after `import` to use it."""
        module_map = self.folder / "module.modulemap"
        declared = MODULE.findall(module_map.read_text()) if module_map.is_file() else []
        return {self.name, *declared}


def describe(root: Path) -> list[dict[str, Any]]:
    """The targets of Package.swift, in its order, in SwiftPM's words."""
    environment = {name: value for name, value in os.environ.items() if name != "REDCOL_EMBEDDED"}
    with tempfile.TemporaryDirectory(prefix="redcol-") as scratch:
        described = subprocess.run(
            ["swift", "package", "--scratch-path", scratch, "dump-package"],
            cwd=root,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    targets: list[dict[str, Any]] = json.loads(described.stdout)["targets"]
    return targets


def rooms(root: Path) -> list[Room]:
    """The targets that are no tests."""
    found = []
    for target in describe(root):
        folder = root / (target.get("path") or f"Sources/{target['name']}")
        if root / "Tests" not in folder.parents and target["type"] != "test":
            names = [next(iter(one.values()))[0] for one in target["dependencies"]]
            found.append(Room(target["name"], folder, names))
    return found


def wrong_imports(found: list[Room]) -> list[str]:
    """Dependencies that do not go down, and imports of what a room does not depend on."""
    wrong = []
    below: dict[str, set[str]] = {}
    modules = {name for room in found for name in room.modules()}
    for room in found:
        allowed = room.modules()
        for name in room.dependencies:
            if name not in below:
                wrong.append(f"Package.swift: {room.name} depends on {name}, which is not below it")
            allowed |= below.get(name, set())
        below[room.name] = allowed
        for file in sorted(room.folder.rglob("*.swift")):
            for name in IMPORT.findall(file.read_text()):
                if name not in modules:
                    wrong.append(f"{file}: imports {name}, which is not a room")
                elif name not in allowed:
                    wrong.append(f"{file}: imports {name}, which is not below {room.name}")
        for file in sorted(room.folder.rglob("*.[ch]*")):
            for name in INCLUDE.findall(file.read_text()):
                beside = (file.parent / name).resolve()
                if not beside.is_relative_to(room.folder.resolve()):
                    wrong.append(f"{file}: includes {name}, which is outside of {room.name}")
    return wrong


def wrong_folders(root: Path, found: list[Room]) -> list[str]:
    """Folders of Sources that are no room, and rooms that the Embedded build would not find."""
    wrong = []
    folders = {path for path in (root / "Sources").iterdir() if path.is_dir()}
    for folder in sorted(folders - {room.folder for room in found}):
        wrong.append(f"{folder}: is not a target of Package.swift")
    # Above others, and not C: what a file of the one module of the Embedded build may import.
    used = {name for room in found for name in room.dependencies}
    expected = {
        room.name for room in found if room.name in used and any(room.folder.rglob("*.swift"))
    }
    module_map = root / "Sources/rooms.modulemap"
    named = set(MODULE.findall(module_map.read_text()))
    wrong += [f"{module_map}: lacks {name}" for name in sorted(expected - named)]
    wrong += [f"{module_map}: {name} is not a room" for name in sorted(named - expected)]
    return wrong


def wrong_pictures(root: Path, document: Path, found: list[Room]) -> list[str]:
    """What a document's pictures show and is not so, and rooms that no picture shows."""
    pictures = PICTURE.findall(document.read_text())
    if not pictures:
        return [f"{document}: has no picture in Mermaid"]
    drawn = re.sub(r"<[^<>]*>", " ", "\n".join(pictures))  # labels may have <br/> in them
    folders = {
        f"/{path.relative_to(root).as_posix()}"
        for top in ("Sources", "include", "bindings", "Tests", "scripts", "docs")
        for path in (root / top, *(root / top).rglob("*/"))
        if path.is_dir()
    }
    # TCP/TLS is not a path.
    named = {path for path in PATH.findall(drawn) if path.endswith("/") or path.upper() != path}
    below = {room.name: set(room.dependencies) for room in found}
    wrong = []
    for line in drawn.splitlines():
        nodes = [node for node in map(NODE.match, ARROW.split(line.strip())) if node]
        if len(nodes) < 2:
            continue
        named |= {node[1] for node in nodes if not node[2]}
        names = [node[1] for node in nodes]
        for upper, lower in itertools.pairwise(names):
            if upper in below and lower in below and lower not in below[upper]:
                wrong.append(f"{document}: {upper} does not depend on {lower}")
    labeled = {node[1] for node in NODE.finditer(drawn) if node[2]}
    for path in sorted(named - labeled):
        if not any(folder.endswith(f"/{path.rstrip('/')}") for folder in folders):
            wrong.append(f"{document}: the picture names {path}, which is not a folder")
    for room in found:
        name = room.folder.name
        if room.folder.parent == root / "Sources" and not re.search(rf"\b{name}\b", drawn):
            wrong.append(f"{document}: no picture shows {name}")
    return wrong


def wrong_table(root: Path, document: Path, found: list[Room]) -> list[str]:
    """Folders in a document's table that are gone, and rooms that it lacks."""
    rows = set(ROW.findall(document.read_text()))
    wrong = [
        f"{document}: the table names {row}, which is not a folder"
        for row in sorted(rows)
        if not (root / row).is_dir()
    ]
    for room in found:
        path = room.folder.relative_to(root).as_posix()
        if path not in rows:
            wrong.append(f"{document}: the table lacks {path}")
    return wrong


def main(arguments: list[str]) -> int:
    """Print what is wrong; 1 if anything is."""
    root = Path(arguments[0]).resolve() if arguments else ROOT
    found = rooms(root)
    wrong = wrong_imports(found) + wrong_folders(root, found)
    wrong += wrong_pictures(root, root / "docs/architecture.md", found)
    wrong += wrong_table(root, root / "CONTRIBUTING.md", found)
    for line in wrong:
        print(line.replace(f"{root}/", ""), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
