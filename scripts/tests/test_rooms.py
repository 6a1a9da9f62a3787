# SPDX-License-Identifier: Apache-2.0
"""The rooms of this project are in order, and check_rooms finds what would not be."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import check_rooms  # noqa: E402
from check_rooms import main  # noqa: E402

PACKAGE = """\
// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "house",
    targets: [
        .systemLibrary(name: "Cellar", path: "include"),
        .target(name: "Ground", dependencies: ["Cellar"]),
        .target(name: "First", dependencies: ["Ground"]),
        .target(name: "Roof", dependencies: ["First"]),
    ])
"""
FILES = {
    "Package.swift": PACKAGE,
    "include/module.modulemap": 'module Cellar { header "cellar.h" }\nmodule Pipes {}\n',
    "Sources/rooms.modulemap": "module Ground {}\nmodule First {}\n",
    "Sources/Ground/Floor/Ground.swift": "import Cellar\nimport Pipes\n",
    "Sources/First/First.swift": "public import Ground\n",
    "Sources/Roof/Roof.swift": "import First\n@_spi(House) import Ground\n",
    "CONTRIBUTING.md": """\
| room | what it holds |
|---|---|
| `include/` | water |
| `Sources/Ground` | shoes |
| `Sources/First` | beds |
| `Sources/Roof` | tiles |
""",
    "docs/architecture.md": """\
# How it is built

```mermaid
flowchart TD
  Roof -->|imports| First["First<br/>and more"]
  First --> Ground
  Ground --> pipes["include/<br/>TCP/TLS"]
  First --> Floor
```
""",
}


def edit(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new))

    return change


#: What SwiftPM, which takes its time, says of a package.
described: dict[str, list[dict[str, Any]]] = {}


@pytest.fixture(autouse=True)
def _describe_each_package_once(monkeypatch: pytest.MonkeyPatch) -> None:
    describe = check_rooms.describe

    def remembered(root: Path) -> list[dict[str, Any]]:
        package = (root / "Package.swift").read_text()
        if package not in described:
            described[package] = describe(root)
        return described[package]

    monkeypatch.setattr(check_rooms, "describe", remembered)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


FAULTS = {
    "up in the package": (
        edit("Package.swift", '["Cellar"]', '["First"]'),
        "Package.swift: Ground depends on First, which is not below it",
    ),
    "up in a file": (
        edit("Sources/Ground/Floor/Ground.swift", "import Pipes", "import First"),
        "Sources/Ground/Floor/Ground.swift: imports First, which is not below Ground",
    ),
    "not a room": (
        edit("Sources/First/First.swift", "public import", "import Foundation\nimport"),
        "Sources/First/First.swift: imports Foundation, which is not a room",
    ),
    "a folder that is not a target": (
        lambda root: (root / "Sources/Attic").mkdir(),
        "Sources/Attic: is not a target of Package.swift",
    ),
    "unknown to the Embedded build": (
        edit("Sources/rooms.modulemap", "module First {}\n", ""),
        "Sources/rooms.modulemap: lacks First",
    ),
    "gone, and known to the Embedded build": (
        edit("Sources/rooms.modulemap", "First {}", "First {}\nmodule Attic {}"),
        "Sources/rooms.modulemap: Attic is not a room",
    ),
    "drawn and gone": (
        edit("docs/architecture.md", "First --> Floor", "First --> Stairs"),
        "docs/architecture.md: the picture names Stairs, which is not a folder",
    ),
    "an arrow that is not an import": (
        edit("docs/architecture.md", "First --> Ground", "Roof --> Ground"),
        "docs/architecture.md: Roof does not depend on Ground",
    ),
    "a label that is gone": (
        edit("docs/architecture.md", "include/", "attic/"),
        "docs/architecture.md: the picture names attic/, which is not a folder",
    ),
    "drawn in the wrong place": (
        edit("docs/architecture.md", "include/", "First/Floor"),
        "docs/architecture.md: the picture names First/Floor, which is not a folder",
    ),
    "not drawn": (
        edit("docs/architecture.md", "Roof -->", "First -->"),
        "docs/architecture.md: no picture shows Roof",
    ),
    "a room without a row": (
        edit("CONTRIBUTING.md", "| `Sources/Roof` | tiles |\n", ""),
        "CONTRIBUTING.md: the table lacks Sources/Roof",
    ),
    "a row without a room": (
        edit("CONTRIBUTING.md", "| `include/`", "| `Sources/Attic`"),
        "CONTRIBUTING.md: the table names Sources/Attic, which is not a folder",
    ),
    "no picture": (
        edit("docs/architecture.md", "```mermaid", "```text"),
        "docs/architecture.md: has no picture in Mermaid",
    ),
}


def test_the_rooms_of_this_project_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    status = main([])
    assert capsys.readouterr().err == ""
    assert status == 0


def test_a_house_in_order(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main([str(house)])
    assert capsys.readouterr().err == ""
    assert status == 0


@pytest.mark.parametrize(("change", "said"), list(FAULTS.values()), ids=list(FAULTS))
def test_a_fault_is_found(
    house: Path, change: Callable[[Path], None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(house)
    assert main([str(house)]) == 1
    assert said in capsys.readouterr().err.splitlines()


def test_c_stays_in_its_room(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(house / "Package.swift", house / "Sources/Ground/Floor/c.h")
    (house / "Sources/Ground/c.c").write_text('#include "Floor/c.h"\n#include "../First/x.h"\n')
    assert main([str(house)]) == 1
    assert capsys.readouterr().err == (
        "Sources/Ground/c.c: includes ../First/x.h, which is outside of Ground\n"
    )
