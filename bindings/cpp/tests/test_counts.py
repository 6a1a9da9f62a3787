# SPDX-License-Identifier: Apache-2.0
"""How many instructions and allocations an entry takes: counts, which say the same on any machine.

A read is counted twice by valgrind, of few entries and of many; what the difference of both took is
what the entries took. The bounds are a quarter above what was counted when they were written down:
whoever makes an entry dearer than that should know it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from test_c_examples import ROOT, build, run

sys.path.insert(0, str(ROOT / "bindings/python/benchmarks"))

import events

from servers import Server

SOURCE = ROOT / "bindings/cpp/tests/counted_read.c"
FEW, MANY = 4_000, 24_000
MARGIN = 1.25
#: How many pages a range is read in depends on how fast the server answers, too.
ALLOCATIONS_MARGIN = 1.5


class Case(NamedTuple):
    """How a stream is read, and what an entry takes."""

    columns: str
    options: dict[str, str]
    instructions: int
    #: For a thousand entries.
    allocations: float


CASES = {
    "a range": Case("columns", {"batch_rows": "0"}, 1_260, 3),
    "columns found": Case("discover", {"batch_rows": "0"}, 1_120, 3),
    "batches of 1,000": Case("columns", {"batch_rows": "1000"}, 1_290, 45),
    "following": Case("columns", {"follow": "true", "batch_rows": "1000"}, 1_410, 57),
    "small batches": Case("columns", {"follow": "true", "batch_rows": "100"}, 1_520, 353),
    "a group": Case(
        "columns",
        {"follow": "true", "batch_rows": "100", "group": "g", "consumer": "c", "auto_ack": "true"},
        1_910,
        450,
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        events.write_events(str(server.socket_path), MANY)
        yield server


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("counted")
    return build(["gcc", "-std=c11"], SOURCE, folder / "counted_read")


def counted(tool: str, pattern: str, program: Path, server: Server, case: Case, count: int) -> int:
    """A number that a tool of valgrind prints when the program has ended."""
    with server.client() as db:
        if "group" in case.options:
            db.xgroup_destroy(events.STREAM, case.options["group"])
    options = [word for pair in {**case.options, "count": str(count)}.items() for word in pair]
    # callgrind's own file is of no use here.
    command = ["valgrind", f"--tool={tool}", f"--log-file={program.parent}/log"]
    if tool == "callgrind":
        command.append("--callgrind-out-file=/dev/null")
    result = run(*command, program, server.url, events.STREAM, case.columns, *options)
    assert (result.returncode, result.stdout) == (0, f"{count}\n"), result.stderr
    log = (program.parent / "log").read_text()
    found = re.search(pattern, log)
    assert found is not None, log
    return int(found[1].replace(",", ""))


def per_entry(tool: str, pattern: str, program: Path, server: Server, case: Case) -> float:
    few, many = (counted(tool, pattern, program, server, case, count) for count in (FEW, MANY))
    return (many - few) / (MANY - FEW)


@pytest.mark.parametrize("name", CASES)
def test_instructions(name: str, program: Path, server: Server) -> None:
    found = per_entry("callgrind", r"Collected : (\d+)", program, server, CASES[name])
    print(f"{name}: {found:.0f} instructions an entry")
    assert 100 < found < CASES[name].instructions * MARGIN


@pytest.mark.parametrize("name", CASES)
def test_allocations(name: str, program: Path, server: Server) -> None:
    pattern = r"total heap usage: ([\d,]+) allocs"
    found = per_entry("memcheck", pattern, program, server, CASES[name]) * 1_000
    print(f"{name}: {found:.1f} allocations for a thousand entries")
    assert found < CASES[name].allocations * ALLOCATIONS_MARGIN
