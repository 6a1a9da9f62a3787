# SPDX-License-Identifier: Apache-2.0
"""The benchmarks, run small, so that they still run when they are needed. Nothing is timed here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shapes import SHAPES

HERE = Path(__file__).parent
#: In the order in which `make bench` runs them. What the last one says is tested where the engines
#: are, in tests/engines.
BENCHMARKS = (
    *("read", "shapes", "network", "group", "tail", "small", "growth", "scan", "many"),
    *("write", "tls", "cluster", "inspect", "pubsub", "bulk", "engines"),
)


def run_bench(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / f"bench_{name}.py"), "--small"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def lines_of(name: str) -> list[str]:
    run = run_bench(name)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def names_in(lines: list[str]) -> list[str]:
    return [line[:20].strip() for line in lines]


def test_reading() -> None:
    lines = lines_of("read")
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
    lines = lines_of("group")
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
    lines = lines_of("tail")
    assert lines[0].startswith("from XADD to the reader, 500 entries/s, 100 entries a round, ")
    assert names_in(lines[1:]) == [
        "microseconds",
        "C, hiredis",
        "redcol",
        "redcol, group",
        "redis-py, tuples",
        "redis-py, frame",
    ]


def test_messages_of_a_channel() -> None:
    lines = lines_of("pubsub")
    assert lines[0] == "20,000 messages of 100 bytes, medians of 1 rounds"
    assert names_in(lines[1:]) == ["", "C, discards", "redcol", "redis-py loop"]


def test_shapes() -> None:
    lines = lines_of("shapes")
    assert lines[0].startswith("shapes of 10,000 entries or fewer, ")
    assert [line[:22].strip() for line in lines[2:]] == list(SHAPES)


def test_the_network() -> None:
    lines = lines_of("network")
    assert lines[0].startswith("10,000 entries of 4 fields, ")
    assert names_in(lines[2:]) == ["TCP", "relay, 1 ms", "relay, 10 ms", "group, 10 ms"]


def test_bulk() -> None:
    lines = lines_of("bulk")
    assert lines[0].startswith("10,000 entries of 4 fields, ")
    names = ["drain", "redcol", "redcol, dump", "redis-py loop"]
    for start, compression in ((1, "yes"), (13, "no")):
        assert lines[start + 1].startswith(f"compression {compression}: a dump of 0.")
        table = ["unix socket", *names, "relay of 1 Gbit/s", *names]
        assert names_in(lines[start + 2 : start + 12]) == table


def test_small_things() -> None:
    lines = lines_of("small")
    assert [line.split(":")[0] for line in lines[1:]] == [
        "a batch of 100 rows",
        "connect, read one entry and close",
        "PING, idle server",
        "PING, while it is read",
    ]


def test_growth() -> None:
    lines = lines_of("growth")
    assert [line.split(":")[0].strip() for line in lines] == [
        "2,000 entries",
        "20,000 entries",
        "200,000 entries",
        "iterating 200,000 entries",
        "100 streams of 200 entries in one iterator, to one stream of 20,000",
    ]


def test_many_streams() -> None:
    lines = lines_of("many")
    assert lines[0].startswith("500 streams of 10 entries and one of 5,000, 4 fields, ")
    assert names_in(lines[2:]) == [
        "one stream",
        "redcol, pattern",
        "redcol, list",
        "redcol, one by one",
        "redis-py pipeline",
    ]


def test_listing_groups() -> None:
    lines = lines_of("inspect")
    assert lines[0] == "the groups of 500 streams, medians of 1 rounds"
    assert names_in(lines[2:]) == [
        *("the commands", "redcol, pattern", "redcol, list", "redis-py pipelines")
    ]


def test_scans() -> None:
    lines = lines_of("scan")
    assert lines[0].startswith("an aggregation of 10,000 entries of 4 fields, ")
    assert names_in(lines[2:]) == [
        "read_stream",
        "scan_stream",
        "read, 3 columns",
        "scan, 10,000 rows",
    ]


def test_writing() -> None:
    lines = lines_of("write")
    assert lines[0] == "10,000 rows of 4 fields written, medians of 1 rounds"
    for table, how in ((lines[1:7], "stream"), (lines[7:], "hashes")):
        assert names_in(table[:5]) == ["", how, "floor", "redcol", "redis-py pipeline"]
        assert table[5].startswith("redis-py pipeline / redcol: ")
        assert len(table) == 6


def test_tls() -> None:
    lines = lines_of("tls")
    assert lines[0] == "10,000 entries of 4 fields over TLS, medians of 1 rounds"
    assert names_in(lines[1:5]) == ["a range", "drain", "redcol", "redis-py loop"]
    assert names_in(lines[6:10]) == ["batches of 1,000", "floor", "redcol", "redis-py loop"]
    assert lines[12].startswith("connect, read one entry and close: ")


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
    assert f"for name in {' '.join(BENCHMARKS)};" in plan
    found = (path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    assert sorted(BENCHMARKS) == sorted(found)


def test_a_cluster() -> None:
    lines = lines_of("cluster")
    assert lines[0] == "100 streams on three nodes, 10,000 entries, 1 rounds"
    assert names_in(lines[1:-3]) == [
        *("read_streams", "three drains", "redcol"),
        *("one stream", "one server", "cluster"),
        *("write_stream", "three writers", "redcol"),
        *("a replica, too", "drain", "primary", "both"),
    ]
    names = [line.split(":")[0].removeprefix("CPU s of the servers, ") for line in lines[-3:]]
    assert names == ["drain", "primary", "both"]
