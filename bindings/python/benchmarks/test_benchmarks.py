"""The benchmarks, run small, so that they still run when they are needed. Nothing is timed here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BENCHMARKS = ("bench_read.py", "bench_group.py", "bench_tail.py", "bench_write.py")


def run_bench(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / name), "--small"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def lines_of(name: str) -> list[str]:
    run = run_bench(name)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def names_in(lines: list[str]) -> list[str]:
    return [line[:20].strip() for line in lines]


def test_reading() -> None:
    lines = lines_of("bench_read.py")
    assert lines[0].startswith("10,000 entries of 4 fields, 1.")
    assert names_in(lines[2:-1]) == [
        "drain",
        "drain, pages",
        "drain and copy",
        "redcol",
        "redcol, no schema",
        "redis-py loop",
        "list of dicts",
    ]
    assert lines[-1].startswith("redcol raised the peak memory by ")


def test_a_group() -> None:
    lines = lines_of("bench_group.py")
    assert lines[0].startswith("20,000 entries of 4 fields read by a group, ")
    tables = [lines[start : start + 6] for start in range(1, len(lines), 6)]
    for table, size in zip(tables, ["100", "1,000", "10,000"], strict=True):
        assert names_in(table[:5]) == [
            "",
            f"batches of {size}",
            "floor",
            "redcol",
            "redis-py loop",
        ]
        assert table[5].startswith("redis-py loop / redcol: ")


def test_the_tail() -> None:
    lines = lines_of("bench_tail.py")
    assert lines[0].startswith("from XADD to the reader, 500 entries/s, 100 entries a round, ")
    assert names_in(lines[1:]) == [
        "microseconds",
        "C, hiredis",
        "redcol",
        "redcol, group",
        "redis-py, tuples",
        "redis-py, frame",
    ]


def test_writing() -> None:
    lines = lines_of("bench_write.py")
    assert lines[0] == "10,000 rows of 4 fields written, medians of 1 rounds"
    for table, how in ((lines[1:7], "stream"), (lines[7:], "hashes")):
        assert names_in(table[:5]) == ["", how, "floor", "redcol", "redis-py pipeline"]
        assert table[5].startswith("redis-py pipeline / redcol: ")
        assert len(table) == 6


@pytest.mark.parametrize("name", BENCHMARKS)
def test_debug_builds_are_refused(name: str, tmp_path: Path) -> None:
    if "REDCOL_LIBRARY" not in os.environ:
        pytest.skip("needs a library to copy")
    debug = tmp_path / "debug" / "libredcol.so"
    debug.parent.mkdir()
    shutil.copy(os.environ["REDCOL_LIBRARY"], debug)
    run = run_bench(name, REDCOL_LIBRARY=str(debug))
    assert run.returncode != 0
    assert "is a debug build" in run.stderr


def test_make_bench_runs_them_all() -> None:
    plan = subprocess.run(
        ["make", "--dry-run", "bench"],
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "for name in read group tail write" in plan
    assert sorted(BENCHMARKS) == sorted(path.name for path in HERE.glob("bench_*.py"))
