# SPDX-License-Identifier: Apache-2.0
"""What importing redcol costs, and the kinds of Python that it refuses with a reason."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import redcol

PACKAGE = Path(redcol.__file__).parent
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
#: What takes long to import, and whoever only imports redcol does not need.
HEAVY = {"asyncio", "dataclasses", "email", "importlib.metadata", "inspect", "json", "logging"}
HEAVY |= {"numpy", "pathlib", "polars", "pyarrow", "re", "socket", "subprocess", "tempfile"}
HEAVY |= {"typing", "urllib"}
SUBINTERPRETER = """
import sys
if sys.version_info >= (3, 13):
    import _interpreters as interpreters
    inner = interpreters.create("legacy")
else:
    import _xxsubinterpreters as interpreters
    inner = interpreters.create(isolated=False)
text = f"import sys; sys.path.insert(0, {sys.argv[1]!r})\\n"
text += "try:\\n    import redcol\\nexcept ImportError as error:\\n    print(error, flush=True)\\n"
interpreters.run_string(inner, text)
"""


def run(program: str, *arguments: str) -> str:
    # Without site: files in an environment's folder may import anything.
    command = [sys.executable, "-I", "-S", "-c", program, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_importing_loads_neither_polars_nor_other_heavy_modules() -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1]); import redcol; print(*sys.modules)"
    loaded = run(program, str(PACKAGE.parent)).split()
    assert "redcol" in loaded
    assert HEAVY & set(loaded) == set()
    # and the library is loaded when it is needed
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import redcol; print(*open(sys.argv[2]))"
    )
    assert "libredcol" not in run(program, str(PACKAGE.parent), "/proc/self/maps")


def test_a_subinterpreter_is_refused() -> None:
    said = run(SUBINTERPRETER, str(PACKAGE.parent))
    assert "main interpreter only" in said
    assert "use threads, asyncio or processes" in said


def test_python_without_the_gil_is_refused() -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1])\n"
    program += "sys._is_gil_enabled = lambda: {}\n"
    program += (
        "try:\n    import redcol; print('imported')\nexcept ImportError as error: print(error)"
    )
    assert "PYTHON_GIL=1" in run(program.format(False), str(PACKAGE.parent))
    assert run(program.format(True), str(PACKAGE.parent)) == "imported\n"


def test_the_oldest_python_reads_every_file() -> None:
    found = re.search(r'^requires-python = ">=3\.(\d+)"', PYPROJECT.read_text(), re.MULTILINE)
    assert found is not None
    files = list(PACKAGE.rglob("*.py"))
    assert len(files) > 10
    for file in files:
        ast.parse(file.read_text(), file.name, feature_version=(3, int(found[1])))
