# SPDX-License-Identifier: Apache-2.0
"""The C program of docs/c.md: compiled as C and as C++ without a warning, and run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "bindings/python/tests"))

from test_c_examples import LIBRARY, RUNTIME, WARNINGS  # noqa: E402

from servers import Server  # noqa: E402

BLOCKS = re.findall(r"^```c\n(.*?)^```", (ROOT / "docs/c.md").read_text(), re.MULTILINE | re.DOTALL)


def test_there_is_one() -> None:
    assert BLOCKS


@pytest.mark.parametrize("source", BLOCKS)
@pytest.mark.parametrize("compiler", [["gcc", "-std=c11"], ["g++", "-std=c++17", "-xc++"]])
def test_readme_program(tmp_path: Path, source: str, compiler: list[str]) -> None:
    (tmp_path / "readme.c").write_text(source)
    program = tmp_path / "readme"
    paths = [f"-I{ROOT / 'include'}", tmp_path / "readme.c", "-xnone", *RUNTIME, LIBRARY]
    subprocess.run(
        [*compiler, *WARNINGS, *paths, f"-Wl,-rpath,{LIBRARY.parent}", "-o", program],
        check=True,
        timeout=600,
    )
    with Server(tcp=True) as server, server.client() as client:
        for value in range(3):
            client.xadd("events", {"value": value})
        result = subprocess.run(
            [program, server.url], capture_output=True, text=True, timeout=30, check=True
        )
    assert result.stdout == "3 entries\n"
