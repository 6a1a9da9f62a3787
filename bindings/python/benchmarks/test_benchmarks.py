"""The benchmarks, run small, so that they still run when they are needed. Nothing is timed here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run_bench(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / "bench_read.py"), "--small"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_small_run_prints_every_contestant() -> None:
    run = run_bench()
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0].startswith("10,000 entries of 4 fields, 1.")
    names = [line[:20].strip() for line in lines[2:-1]]
    assert names == [
        "drain",
        "drain, pages",
        "drain and copy",
        "redcol",
        "redcol, no schema",
        "redis-py loop",
        "list of dicts",
    ]
    assert lines[-1].startswith("redcol raised the peak memory by ")


def test_debug_builds_are_refused(tmp_path: Path) -> None:
    if "REDCOL_LIBRARY" not in os.environ:
        pytest.skip("needs a library to copy")
    debug = tmp_path / "debug" / "libredcol.so"
    debug.parent.mkdir()
    shutil.copy(os.environ["REDCOL_LIBRARY"], debug)
    run = run_bench(REDCOL_LIBRARY=str(debug))
    assert run.returncode != 0
    assert "is a debug build" in run.stderr
