# SPDX-License-Identifier: Apache-2.0
"""The C program that writes: rows made by hand, their ids, and what it says when refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_c_examples import COMPILERS, ROOT, VALGRIND, build, run

sys.path.insert(0, str(ROOT / "bindings/python/tests"))

from servers import Server

EXAMPLE = ROOT / "bindings/cpp/examples/write_stream.c"
WRITTEN = [
    {b"user": b"ann", b"value": b"-7"},
    {b"user": b"bob"},
    {b"user": b"charlie", b"value": b"42"},
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(tcp=True) as started:
        yield started


@pytest.mark.parametrize("compiler", list(COMPILERS.values()), ids=list(COMPILERS))
def test_the_rows_are_written_and_their_ids_printed(
    compiler: list[str], server: Server, tmp_path: Path
) -> None:
    program = build(compiler, EXAMPLE, tmp_path / "write_stream")
    with server.client() as db:
        db.flushall()
        for times in (1, 2):
            result = run(program, server.url, "events")
            assert (result.returncode, result.stderr) == (0, "")
            entries = db.xrange("events")
            assert [fields for _, fields in entries] == WRITTEN * times
            assert result.stdout.split() == [one.decode() for one, _ in entries[-3:]]


def test_a_stream_that_is_ahead_of_the_clock(server: Server, tmp_path: Path) -> None:
    program = build(COMPILERS["gcc-c11"], EXAMPLE, tmp_path / "write_stream")
    with server.client() as db:
        db.flushall()
        db.xadd("events", {"a": 1}, id="9999999999999-1")  # later than any clock: it counts on
        assert run(program, server.url, "events").stdout.split() == [
            f"9999999999999-{number}" for number in (2, 3, 4)
        ]


@pytest.mark.parametrize("stream", ["events", "text"])
def test_under_valgrind(stream: str, server: Server, tmp_path: Path) -> None:
    program = build(COMPILERS["gcc-c11"], EXAMPLE, tmp_path / "write_stream")
    with server.client() as db:
        db.flushall()
        db.set("text", "no stream")
        result = run(*VALGRIND, program, server.url, stream)
        assert "==" not in result.stderr  # the mark of valgrind's lines
        if stream == "text":
            assert (result.returncode, result.stdout) == (1, "not written\n" * 3)
            assert "row 0" in result.stderr
            assert "text" in result.stderr
        else:
            assert (result.returncode, result.stderr) == (0, "")
            assert db.xlen("events") == 3


def test_it_says_what_is_wrong(server: Server, tmp_path: Path) -> None:
    program = build(COMPILERS["gcc-c11"], EXAMPLE, tmp_path / "write_stream")
    for arguments, code, word in [
        ((), 2, "usage: "),
        (("redis://localhost:1", "events"), 1, "localhost:1"),
        ((server.url.replace("redis", "http"), "events"), 1, "redis://"),
    ]:
        result = run(program, *arguments)
        assert (result.returncode, result.stdout) == (code, "")
        assert word in result.stderr
