# SPDX-License-Identifier: Apache-2.0
"""C programs that read as a member of a group: the example, an event loop, and cancelling."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_c_examples import COMPILERS, ROOT, VALGRIND, build, run

sys.path.insert(0, str(ROOT / "bindings/python/tests"))

from servers import Server

EXAMPLE = ROOT / "bindings/cpp/examples/consume_group.c"
EVENT_LOOP = Path(__file__).with_name("event_loop.c")
CANCEL = Path(__file__).with_name("cancel.c")
GCC = COMPILERS["gcc-c11"]

every_compiler = pytest.mark.parametrize("compiler", list(COMPILERS.values()), ids=list(COMPILERS))
plain_and_valgrind = pytest.mark.parametrize("under", [[], VALGRIND], ids=["plain", "valgrind"])


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    with Server(tcp=True) as started:
        yield started


@pytest.fixture
def server(shared_server: Server) -> Server:
    with shared_server.client() as client:
        client.flushall()
    return shared_server


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(GCC, EXAMPLE, tmp_path_factory.mktemp("example") / "consume_group")


def add(server: Server, *values: int | None) -> None:
    with server.client() as client:
        for value in values:
            client.xadd("events", {"other": 1} if value is None else {"value": value})


def pending(server: Server) -> int:
    """How many entries of the group "sums" were delivered and not acknowledged."""
    with server.client() as client:
        return int(client.xpending("events", "sums")["pending"])


class Program:
    """A program that runs while the test goes on; killed after a minute, so that no test hangs."""

    def __init__(self, *command: str | Path) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.watchdog = threading.Timer(60, self.process.kill)
        self.watchdog.start()

    def send(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def error_line(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate()
        return self.process.returncode, out, err

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.watchdog.cancel()
        self.process.kill()
        self.process.communicate()


@every_compiler
def test_example_sums_and_acknowledges(compiler: list[str], server: Server, tmp_path: Path) -> None:
    add(server, *range(250), None, -1)
    program = build(compiler, EXAMPLE, tmp_path / "consume_group")
    result = run(program, server.url, "events", "sums", "worker-1", "252")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"252 entries, sum {sum(range(250)) - 1}\n"
    assert pending(server) == 0
    with server.client() as client:
        assert [one["name"] for one in client.xinfo_consumers("events", "sums")] == [b"worker-1"]


@plain_and_valgrind
def test_example_ends_after_so_many_and_leaves_the_rest(
    under: list[str], server: Server, example: Path
) -> None:
    add(server, *range(150))
    for count, wanted in [("120", range(120)), ("30", range(120, 150))]:
        result = run(*under, example, server.url, "events", "sums", "worker-1", count)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == f"{len(wanted)} entries, sum {sum(wanted)}\n"
        assert pending(server) == 0


@plain_and_valgrind
def test_example_waits_for_entries(under: list[str], server: Server, example: Path) -> None:
    with Program(*under, example, server.url, "events", "sums", "worker-1", "3") as program:
        assert program.error_line() == "waiting\n"
        add(server, 1, 2)
        assert program.error_line() == "waiting\n"
        assert pending(server) == 0  # acknowledged while it waits for the next
        add(server, 4)
        code, out, err = program.end()
    assert (code, out) == (0, "3 entries, sum 7\n")
    assert set(err.splitlines()) <= {"waiting"}
    assert pending(server) == 0


@plain_and_valgrind
def test_example_ends_with_ctrl_c(under: list[str], server: Server, example: Path) -> None:
    add(server, *range(250))
    command = [*under, example, server.url, "events", "sums", "worker-1", "1000"]
    with Program(*command) as program:
        assert program.error_line() == "waiting\n"
        time.sleep(0.3)  # it is inside a call that waits: there the handler runs
        began = time.monotonic()
        program.process.send_signal(signal.SIGINT)
        code, out, err = program.end()
        took = time.monotonic() - began
    assert (code, out) == (0, f"250 entries, sum {sum(range(250))}\n"), err
    assert set(err.splitlines()) <= {"waiting"}
    assert under or took < 4
    assert pending(server) == 0
    add(server, 5)
    again = run(example, server.url, "events", "sums", "worker-1", "1")
    assert (again.returncode, again.stdout) == (0, "1 entries, sum 5\n")


def test_example_begins_with_what_it_had_not_acknowledged(server: Server, example: Path) -> None:
    add(server, *range(10))
    with server.client() as client:
        client.xgroup_create("events", "sums", id="0")
        client.xreadgroup("sums", "worker-1", {"events": ">"}, count=4)
    assert pending(server) == 4
    result = run(example, server.url, "events", "sums", "worker-1", "4")
    assert result.stdout == "4 entries, sum 6\n"
    assert pending(server) == 0


def test_example_says_what_is_wrong(server: Server, example: Path) -> None:
    with server.client() as client:
        client.set("text", "no stream")
    for arguments, code, word in [
        ((), 2, "usage: "),
        ((server.url, "text", "sums", "worker-1", "1"), 1, "text"),
        ((server.url, "events", "sums", "worker-1", "many"), 1, "count"),
        ((server.url, "events", "sums", "", "1"), 1, "consumer"),
        (("redis://localhost:1", "events", "sums", "worker-1", "1"), 1, "localhost:1"),
    ]:
        result = run(example, *arguments)
        assert (result.returncode, word in result.stderr) == (code, True), result.stderr


@plain_and_valgrind
def test_event_loop(under: list[str], server: Server, tmp_path: Path) -> None:
    source = build(GCC, EVENT_LOOP, tmp_path / "event_loop")
    with Program(*under, source, server.url, "events", "sums", "6") as program:
        assert program.line() == "ready\n"
        program.send("x")
        assert program.line() == "tick\n"
        add(server, 1)
        assert program.line() == "1 entries, 1 acknowledged\n"
        time.sleep(2.5)  # the server is asked to wait for a second at a time
        program.send("x")
        assert program.line() == "tick\n"
        assert pending(server) == 0
        with server.client() as client, client.pipeline(transaction=True) as pipeline:
            for value in range(3):
                pipeline.xadd("events", {"value": value})
            pipeline.execute()
        assert program.line() == "3 entries, 3 acknowledged\n"
        # The descriptor stays over a lost connection, and tells when the next one is there.
        with server.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.2)
        add(server, 4)
        assert program.line() == "1 entries, 1 acknowledged\n"
        program.send("x")
        assert program.line() == "tick\n"
        add(server, 5)
        code, out, err = program.end()
    assert (code, out) == (0, "1 entries, 1 acknowledged\nend after 6 entries\n"), err
    calls = re.fullmatch(r"(\d+) calls\n", err)
    assert calls, err
    assert int(calls[1]) < 60  # it sleeps in poll, and does not spin
    assert pending(server) == 0


@every_compiler
def test_cancelling_from_another_thread(
    compiler: list[str], server: Server, tmp_path: Path
) -> None:
    cancel_and_go_on([], build([*compiler, "-pthread"], CANCEL, tmp_path / "cancel"), server)


def test_cancelling_under_valgrind(server: Server, tmp_path: Path) -> None:
    cancel_and_go_on(VALGRIND, build([*GCC, "-pthread"], CANCEL, tmp_path / "cancel"), server)


def cancel_and_go_on(under: list[str], program: Path, server: Server) -> None:
    with Program(*under, program, server.url, "events", "sums") as running:
        assert running.line() == "waiting\n", running.end()
        add(server, 1, 2)
        assert running.end() == (0, "2 entries, the end\n", "")
    assert pending(server) == 0
