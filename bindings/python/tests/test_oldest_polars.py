# SPDX-License-Identifier: Apache-2.0
"""The tests that depend on Polars most, with the oldest version that redcol says it works with."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

#: Left out of `make check`.
pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PACKAGE = HERE.parent
PYTHON = PACKAGE.parents[1] / ".venv-oldest-polars/bin/python"


def floor() -> str:
    found = re.search(r'"polars>=([\d.]+)"', (PACKAGE / "pyproject.toml").read_text())
    assert found is not None
    return found[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert PYTHON.is_file(), f"{PYTHON} is missing: scripts/setup.sh makes it"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE / "src"), str(HERE)])}
    command = [str(PYTHON), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)


def test_the_version_is_the_floor() -> None:
    assert run("-c", "import polars; print(polars.__version__)").stdout.strip() == floor()
    assert f"polars=={floor()}\n" in (PACKAGE / "requirements-oldest.txt").read_text()


@pytest.mark.parametrize(
    "names",
    [
        ("test_scan_predicates.py",),
        ("test_scan.py", "test_scan_memory.py", "test_scan_interrupt.py"),
        ("test_handover.py", "test_dtypes.py", "test_guide_range.py", "test_following.py"),
    ],
    ids=["predicates", "scans", "reads"],
)
def test_with_the_oldest_polars(names: tuple[str, ...]) -> None:
    config = ["-c", str(PACKAGE / "pyproject.toml"), "-p", "no:cacheprovider"]
    done = run("-m", "pytest", "-q", *config, *(str(HERE / name) for name in names))
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
