# SPDX-License-Identifier: Apache-2.0
"""C programs that never wait or never keep: the writer in an event loop, the Arrow stream."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from frames import Frame
from statuses import STATUSES, Writing, call
from test_c_examples import COMPILERS, ROOT, VALGRIND, build, run
from test_c_group import Program, plain_and_valgrind

sys.path.insert(0, str(ROOT / "bindings/python/tests"))

from servers import Server

EXAMPLES = ROOT / "bindings/cpp/examples"
GCC = COMPILERS["gcc-c11"]
TIMEOUT = STATUSES["TIMEOUT"]

every_compiler = pytest.mark.parametrize("compiler", list(COMPILERS.values()), ids=list(COMPILERS))


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with Server(tcp=True) as started:
        yield started


@pytest.fixture
def server(shared: Server) -> Server:
    with shared.client() as client:
        client.flushall()
    return shared


# -- The Arrow stream


@every_compiler
def test_a_stream_is_summed(compiler: list[str], server: Server, tmp_path: Path) -> None:
    with server.client() as db:
        for value in range(100):
            db.xadd("events", {"value": value})
        db.xadd("events", {"other": 1})
        db.xadd("wrong", {"value": "seven"})
        db.set("text", "no stream")
    program = build(compiler, EXAMPLES / "stream_batches.c", tmp_path / "stream_batches")
    for stream, out in [("events", "101 entries, sum 4950\n"), ("none", "0 entries, sum 0\n")]:
        result = run(program, server.url, stream)
        assert (result.returncode, result.stdout, result.stderr) == (0, out, "")
    for stream, word in [("wrong", "seven"), ("text", "WRONGTYPE")]:
        result = run(program, server.url, stream)
        assert (result.returncode, result.stdout) == (1, "")
        assert word in result.stderr
    assert "REDCOL_ERROR_INVALID_ARGUMENT" in run(program, "http://localhost", "s").stderr


def test_a_stream_that_fails_under_valgrind(server: Server, tmp_path: Path) -> None:
    with server.client() as db:
        db.xadd("wrong", {"value": "seven"})
    program = build(GCC, EXAMPLES / "stream_batches.c", tmp_path / "stream_batches")
    result = run(*VALGRIND, program, server.url, "wrong")
    assert (result.returncode, result.stdout) == (1, "")
    assert "seven" in result.stderr
    assert "==" not in result.stderr  # the mark of valgrind's lines


# -- The writer's descriptor


@every_compiler
def test_an_event_loop_writes(compiler: list[str], server: Server, tmp_path: Path) -> None:
    program = build(compiler, EXAMPLES / "write_event_loop.c", tmp_path / "write_event_loop")
    result = run(program, server.url, "events", "100000")
    assert (result.returncode, result.stderr) == (0, "")
    said = re.fullmatch(r"100000 rows in (\d+) calls\n", result.stdout)
    assert said, result.stdout
    assert int(said[1]) < 20_000  # it sleeps in poll, and does not spin
    with server.client() as db:
        assert db.xlen("events") == 100_000
        assert db.xrevrange("events", count=1)[0][1] == {b"value": b"99999"}
        db.set("text", "no stream")
    result = run(program, server.url, "text", "10")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("REDCOL_ERROR_WRONG_TYPE: ")


@plain_and_valgrind
def test_the_loop_goes_on_while_the_server_is_silent(
    under: list[str], server: Server, tmp_path: Path
) -> None:
    source = EXAMPLES / "write_event_loop.c"
    program = build(GCC, source, tmp_path / "write_event_loop")
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        with Program(*under, program, server.url, "events", "50000") as running:
            # Opening is done with the server awake; the write then meets one that is not.
            os.kill(server.process.pid, signal.SIGCONT)
            running.send("xxx")
            assert [running.line() for _ in range(3)] == ["tick\n"] * 3
            code, out, err = running.end()
        assert (code, err) == (0, "")
        assert out.startswith("50000 rows in ")
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


def is_readable(descriptor: int, wait_ms: int) -> bool:
    return bool(select.select([descriptor], [], [], wait_ms / 1000)[0])


def descriptor_of(writing: Writing) -> int:
    return call("redcol_writer_descriptor", writing.writer)


def run_to_the_end(writing: Writing, descriptor: int) -> tuple[int, int]:
    """The status, and how often redcol_writer_run was called: when the descriptor told."""
    calls = 1
    deadline = time.monotonic() + 60
    while (status := writing.run(0)) == TIMEOUT:
        assert is_readable(descriptor, 10_000)
        assert descriptor_of(writing) == descriptor
        assert time.monotonic() < deadline
        calls += 1
    return status, calls


@pytest.fixture
def writing(server: Server) -> Iterator[Writing]:
    made = Writing(server.url, timeout_ms=20_000)
    yield made
    made.free()


def test_it_tells_when_the_answers_come(server: Server, writing: Writing) -> None:
    assert writing.start() == 0
    descriptor = descriptor_of(writing)
    os.kill(server.process.pid, signal.SIGSTOP)
    assert writing.run(0) == TIMEOUT
    while is_readable(descriptor, 100):
        assert writing.run(0) == TIMEOUT  # until all is sent
    os.kill(server.process.pid, signal.SIGCONT)
    assert is_readable(descriptor, 10_000)
    assert run_to_the_end(writing, descriptor)[0] == 0
    assert server.client().xlen("s") == 1


def test_rows_without_values_leave_something_to_do(server: Server) -> None:
    """More of them than one call looks at: no answer comes, but there is work."""
    writing = Writing(server.url, timeout_ms=20_000, stream_column="n")
    writing.stream = None
    writing.frame = Frame([[(row, None) for row in range(200)]] * 200)
    assert writing.start() == 0
    status, calls = run_to_the_end(writing, descriptor_of(writing))
    assert (status, writing.statistic("empty")) == (0, 40_000)
    assert 2 < calls < 20
    writing.free()


def test_it_tells_when_the_server_was_silent_for_too_long(server: Server) -> None:
    writing = Writing(server.url, timeout_ms=300)
    assert writing.start() == 0
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        assert run_to_the_end(writing, descriptor_of(writing))[0] == STATUSES["TIMED_OUT"]
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    writing.free()


def test_it_tells_of_a_new_connection(server: Server) -> None:
    """Hashes are written again after a lost connection; the pause before that ends, too."""
    writing = Writing(server.url, timeout_ms=20_000, key_prefix="h:")
    writing.frame = Frame([[(row, f"k{row}") for row in range(first, first + 100)]
                           for first in range(0, 3_000, 100)])  # fmt: skip
    assert writing.start_hashes() == 0
    descriptor = descriptor_of(writing)
    assert writing.run(0) == TIMEOUT
    with server.client() as db:
        db.client_kill_filter(_type="normal", skipme=True)
        assert run_to_the_end(writing, descriptor)[0] == 0
        assert db.dbsize() == 3_000
    writing.free()


def test_stopping_in_a_loop(server: Server, writing: Writing) -> None:
    assert writing.start() == 0
    descriptor = descriptor_of(writing)
    writing.run(0)
    while (status := writing.stop_now(0)) == TIMEOUT:
        assert is_readable(descriptor, 10_000)
    assert status == 0
    assert server.client().xlen("s") in (0, 1)


def test_of_what_is_no_writer(server: Server, writing: Writing) -> None:
    assert call("redcol_writer_descriptor", writing.client) == -1
    assert writing.start() == 0
    assert descriptor_of(writing) >= 0
    child = os.fork()
    if child == 0:
        os._exit(0 if descriptor_of(writing) == -1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
