# SPDX-License-Identifier: Apache-2.0
"""Credentials from a function or a file: fetched for each connection, retried, and never shown."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import redcol
from redcol import _credentials, _native
from servers import SERVERS, FakeServer, Server

pytestmark = pytest.mark.usefixtures("no_leaks")


@contextlib.contextmanager
def serving(binary: Path = SERVERS["r7"]) -> Iterator[Server]:
    """A server with a user "app", whose password is "one", and a stream of one entry."""
    with Server(binary) as server, server.client() as db:
        set_password(server, "one")
        db.xadd("s", {"a": 1})
        yield server


def set_password(server: Server, password: str) -> None:
    with server.client() as db:
        db.execute_command(
            "ACL", "SETUSER", "app", "on", "resetpass", f">{password}", "~*", "+@all"
        )


def disconnect(server: Server) -> None:
    with server.client() as db:
        db.execute_command("CLIENT", "KILL", "USER", "app")


class Tokens:
    """A function that returns credentials, what it returns and how often it was asked."""

    def __init__(self, password: str = "one"):
        self.password = password
        self.asked = 0
        self.error: BaseException | None = None

    def __call__(self) -> tuple[str, str]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return "app", self.password


def wait_until(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# Asked for each connection.


@pytest.mark.parametrize("binary", SERVERS.values(), ids=SERVERS)
def test_asked_for_each_connection(binary: Path) -> None:
    tokens = Tokens()
    with serving(binary) as server, redcol.connect(server.url, credentials=tokens) as client:
        assert len(redcol.read_stream(client, "s")) == 1
        assert tokens.asked == 1
        assert {one["user"] for one in server.client().client_list()} == {"app", "default"}
        disconnect(server)
        assert len(redcol.read_stream(client, "s")) == 1
        assert tokens.asked == 2


def test_the_default_user() -> None:
    with Server(args=("--requirepass", "one")) as server:
        for user in (None, "", "default"):
            with redcol.connect(server.url, credentials=lambda user=user: (user, "one")) as client:
                assert len(redcol.read_stream(client, "s")) == 0


GROUP: dict[str, Any] = {"group": "g", "consumer": "c"}


@pytest.mark.parametrize("options", [{}, GROUP], ids=["tail", "group"])
@pytest.mark.parametrize("source", ["function", "file"])
def test_a_password_that_changes(source: str, options: dict[str, Any], tmp_path: Path) -> None:
    tokens, path = Tokens(), tmp_path / "password"
    path.write_text("one\n")
    with serving() as server:
        if source == "function":
            client = redcol.connect(server.url, credentials=tokens)
        else:
            url = server.url.replace("unix://", "unix://app@")
            client = redcol.connect(url, password_file=path)
        with client, redcol.iter_stream(client, "s", block_ms=50, **options) as batches:
            assert len(next(batches)) == 1
            set_password(server, "two")
            disconnect(server)
            with server.client() as db:
                db.xadd("s", {"a": 2})
            read: list[int] = []
            reader = threading.Thread(target=lambda: read.extend(next(batches)["a"].cast(int)))
            reader.start()
            # What is left of the old password is refused, and tried again.
            wait_until(lambda: isinstance(batches.last_error, redcol.AuthenticationError))
            tokens.password = "two"
            path.write_text("two")
            reader.join(60)
            assert read == [2]
            assert batches.is_connected


FRAME = pl.DataFrame({"_key": ["h"], "a": [1]})
CALLS: dict[str, Callable[[redcol.Client], object]] = {
    "read_stream": lambda client: redcol.read_stream(client, "s"),
    "read_arrow": lambda client: redcol.read_arrow(client, "s"),
    "read_streams": lambda client: redcol.read_streams(client, "*"),
    "scan_stream": lambda client: redcol.scan_stream(client, "s", schema={"a": pl.Int64}).collect(),
    "group": lambda client: redcol.read_stream(client, "s", **GROUP),
    "ack_entries": lambda client: redcol.ack_entries(client, "s", "made", ["1-1"]),
    "write_stream": lambda client: redcol.write_stream(client, FRAME.select("a"), "w"),
    "write_hashes": lambda client: redcol.write_hashes(client, FRAME),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_function_logs_in_again(call: str) -> None:
    tokens = Tokens()
    with serving() as server, redcol.connect(server.url, credentials=tokens) as client:
        server.client().xgroup_create("s", "made")
        set_password(server, "two")
        tokens.password = "two"
        disconnect(server)
        CALLS[call](client)
        assert tokens.asked > 1


def test_a_refused_password_is_raised_when_the_time_is_over() -> None:
    tokens = Tokens()
    with (
        serving() as server,
        redcol.connect(server.url, credentials=tokens) as client,
        redcol.iter_stream(client, "s", block_ms=50, reconnect_timeout_ms=300) as batches,
    ):
        assert len(next(batches)) == 1
        set_password(server, "two")
        disconnect(server)
        with pytest.raises(redcol.AuthenticationError, match="credentials provider returned"):
            next(batches)
        assert tokens.asked > 1
        # The iterator can be asked again.
        tokens.password = "two"
        server.client().xadd("s", {"a": 2})
        assert len(next(batches)) == 1


# Functions that fail.


@pytest.mark.parametrize("error", [RuntimeError("no token"), KeyboardInterrupt(), SystemExit(3)])
def test_what_the_function_raises_is_the_cause(error: BaseException) -> None:
    tokens = Tokens()
    tokens.error = error
    with serving() as server:
        with pytest.raises(redcol.AuthenticationError) as caught:
            redcol.connect(server.url, credentials=tokens)
        assert caught.value.__cause__ is error
        assert "no token" not in str(caught.value)
        assert tokens.asked == 1


def test_an_iterator_asks_again() -> None:
    tokens = Tokens()
    with (
        serving() as server,
        redcol.connect(server.url, credentials=tokens) as client,
        redcol.iter_stream(client, "s", block_ms=50, reconnect_timeout_ms=300) as batches,
    ):
        assert len(next(batches)) == 1
        tokens.error = RuntimeError("no token")
        disconnect(server)
        with pytest.raises(redcol.AuthenticationError) as caught:
            next(batches)
        assert caught.value.__cause__ is tokens.error
        assert tokens.asked > 1
        server.client().xadd("s", {"a": 2})
        tokens.error = None
        assert len(next(batches)) == 1


def test_a_single_read_asks_again_for_as_long_as_it_may() -> None:
    tokens = Tokens()
    with (
        serving() as server,
        redcol.connect(server.url, credentials=tokens, timeout_ms=1_500) as client,
    ):
        tokens.error = RuntimeError("no token")
        disconnect(server)
        with pytest.raises(redcol.AuthenticationError) as caught:
            redcol.read_stream(client, "s")
        assert caught.value.__cause__ is tokens.error
        assert tokens.asked > 1
        tokens.error = None
        assert len(redcol.read_stream(client, "s")) == 1


@pytest.mark.parametrize(
    "returned",
    ["sesame", ("app",), ("app", b"sesame"), (1, "sesame"), None, ["app", "sesame"],
     ("app", "sesame\ud800"), ("app", "sesame" * 11_000)],
    ids=["text", "one", "bytes", "number", "none", "list", "surrogate", "long"],
)  # fmt: skip
def test_what_is_no_user_and_password(returned: Any) -> None:
    with serving() as server, pytest.raises(redcol.AuthenticationError) as caught:
        redcol.connect(server.url, credentials=lambda: returned)
    assert isinstance(caught.value.__cause__, TypeError)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = "".join(shown.format()).split("in test_what_is_no_user_and_password")[0]
    assert "sesame" not in str(caught.value) + str(caught.value.__cause__) + ours


def test_a_function_that_takes_too_long() -> None:
    """The next attempt takes its answer; it is not asked a second time meanwhile."""
    may_return, tokens = threading.Event(), Tokens()

    def slow() -> tuple[str, str]:
        returned = tokens()
        may_return.wait(60)
        return returned

    with serving() as server, redcol.connect(server.url, credentials=tokens) as first:
        assert len(redcol.read_stream(first, "s")) == 1
        with pytest.raises(redcol.TimedOutError, match="no credentials within 200 ms"):
            redcol.connect(server.url, credentials=slow, connect_timeout_ms=200)
        may_return.set()
        client = redcol.connect(server.url, credentials=slow, connect_timeout_ms=2_000)
        with client, redcol.iter_stream(client, "s", block_ms=50) as batches:
            assert len(next(batches)) == 1
            asked = tokens.asked
            may_return.clear()
            disconnect(server)
            server.client().xadd("s", {"a": 2})
            reader = threading.Thread(target=lambda: next(batches))
            reader.start()
            wait_until(lambda: isinstance(batches.last_error, redcol.TimedOutError))
            may_return.set()
            reader.join(60)
            assert tokens.asked == asked + 1


def test_two_connections_ask_at_once() -> None:
    together = threading.Barrier(2, timeout=60)

    def both() -> tuple[str, str]:
        together.wait()
        return "app", "one"

    with serving() as server:
        clients: list[redcol.Client] = []

        def connect() -> None:
            clients.append(redcol.connect(server.url, credentials=both, connect_timeout_ms=60_000))

        threads = [threading.Thread(target=connect) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(clients) == 2
        for client in clients:
            client.close()


def test_a_function_that_takes_long_does_not_block_an_event_loop() -> None:
    may_return = threading.Event()
    may_return.set()

    def slow() -> tuple[str, str]:
        assert may_return.wait(60)
        return "app", "one"

    async def ticks(client: redcol.Client) -> int:
        batches = redcol.stream_batches(client, "s", on_idle="stop", block_ms=10)
        connecting = asyncio.ensure_future(batches.connected())
        for _ in range(20):
            await asyncio.sleep(0.005)
            assert not connecting.done()
        may_return.set()
        await connecting
        rows = sum([len(batch) async for batch in batches])
        batches.close()
        return rows

    with serving() as server:
        client = redcol.connect(server.url, credentials=slow, connect_timeout_ms=60_000)
        with client:
            disconnect(server)
            may_return.clear()
            assert asyncio.run(ticks(client)) == 1


# Files.


def test_the_password_is_what_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    with serving() as server:
        url = server.url.replace("unix://", "unix://app@")
        for text in (b"one", b"one\n", b"one\r\n"):
            path.write_bytes(text)
            with redcol.connect(url, password_file=path) as client:
                assert len(redcol.read_stream(client, "s")) == 1
        for text in (b"one\n\n", b" one", b"", b"One"):
            path.write_bytes(text)
            with pytest.raises(redcol.AuthenticationError, match=r"the file .*/password"):
                redcol.connect(url, password_file=str(path))


def test_what_the_server_says_of_a_login_is_shown(tmp_path: Path) -> None:
    """A server takes no long argument before the login, and says so in its own words."""
    path = tmp_path / "password"
    path.write_bytes(b"x" * 20_000)
    with serving() as server, pytest.raises(redcol.RedcolError) as caught:
        redcol.connect(server.url.replace("unix://", "unix://app@"), password_file=path)
    assert "xxx" not in str(caught.value)
    assert "no password" not in str(caught.value)
    with (
        Server() as server,
        pytest.raises(redcol.AuthenticationError, match="without any password"),
    ):
        redcol.connect(server.url.replace("unix://", "unix://:hunter2@"))


def test_a_link_to_a_file_that_is_replaced(tmp_path: Path) -> None:
    """As Kubernetes mounts secrets."""
    path = tmp_path / "password"
    (tmp_path / "old").write_text("one\n")
    path.symlink_to("old")
    with serving() as server:
        url = server.url.replace("unix://", "unix://app@")
        with redcol.connect(url, password_file=path) as client:
            assert len(redcol.read_stream(client, "s")) == 1
            set_password(server, "two")
            (tmp_path / "new").write_text("two\n")
            (tmp_path / "next").symlink_to("new")
            (tmp_path / "next").replace(path)
            disconnect(server)
            assert len(redcol.read_stream(client, "s")) == 1


def test_a_pipe_is_no_file_of_a_password(tmp_path: Path) -> None:
    """Opening it would wait for somebody who writes."""
    path = tmp_path / "password"
    os.mkfifo(path)
    with serving() as server:
        url = server.url.replace("unix://", "unix://app@")
        with pytest.raises(redcol.AuthenticationError, match="it is not a regular file") as caught:
            redcol.connect(url, password_file=path, connect_timeout_ms=600_000)
        assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "password"
    with serving() as server:
        url = server.url.replace("unix://", "unix://app@")
        for reason in ("No such file", "Is a directory", "more than 65536 bytes"):
            if reason.startswith("Is"):
                path.mkdir()
            if reason.startswith("more"):
                path.rmdir()
                path.write_bytes(b"x" * 65_537)
            with pytest.raises(redcol.AuthenticationError, match=reason) as caught:
                redcol.connect(url, password_file=path)
            assert str(path) in str(caught.value)
        path.write_bytes(b"x" * 65_536 + b"\n")
        with pytest.raises(redcol.AuthenticationError, match="WRONGPASS"):
            redcol.connect(url, password_file=path)


def test_arguments_that_cannot_be_right(tmp_path: Path) -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("redis://:secret@host", {"credentials": Tokens()}),
        ("redis://app@host", {"credentials": Tokens()}),
        ("redis://:secret@host", {"password_file": "file"}),
        ("redis://host", {"password_file": "file", "credentials": Tokens()}),
        ("redis://host", {"password_file": ""}),
        ("redis://host", {"password_file": 1}),
        ("redis://host", {"password_file": "a\0b"}),
        ("redis://host", {"credentials": ("app", "secret")}),
        ("redis://app@host", {}),
    ]
    for url, arguments in wrong:
        with pytest.raises(redcol.InvalidArgumentError) as caught:
            redcol.connect(url, **arguments)
        assert "secret" not in str(caught.value)


# What is shown, and what is kept.


def test_what_was_returned_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    token = "tok3n-of-a-minute"

    def answer(command: list[bytes]) -> bytes:
        if command[0] == b"AUTH" and refuses:
            return b"-WRONGPASS for " + b" ".join(command[1:]) + b"\r\n"
        if command[0] == b"XRANGE":
            text = token.encode()
            entry = b"*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$%d\r\n%s\r\n" % (len(text), text)
            return b"*1\r\n" + entry
        return b"+OK\r\n"

    refuses = True
    caplog.set_level(logging.DEBUG, "redcol")
    with FakeServer(answer) as fake:
        with pytest.raises(redcol.AuthenticationError) as caught:
            redcol.connect(fake.url, credentials=lambda: ("carla", token))
        assert "WRONGPASS" in str(caught.value)
        assert token not in str(caught.value)
        assert "carla" not in str(caught.value)
        refuses = False
        with redcol.connect(fake.url, credentials=lambda: ("carla", token)) as client:
            assert token not in repr(client)
            with pytest.raises(redcol.ValueConversionError) as shown:
                redcol.read_stream(client, "s", schema={"v": pl.Int64})
            assert token not in str(shown.value) + str(shown.value.value)
        # Nor is it when other credentials have taken its place.
        tokens = [token]
        with redcol.connect(fake.url, credentials=lambda: ("carla", tokens[-1])) as client:
            tokens.append("an0ther-token")
            for connection in fake.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            with pytest.raises(redcol.ValueConversionError) as shown:
                redcol.read_stream(client, "s", schema={"v": pl.Int64})
            assert [b"AUTH", b"carla", b"an0ther-token"] in fake.commands
            assert token not in str(shown.value) + str(shown.value.value)
    assert token not in caplog.text


def test_few_exceptions_are_kept() -> None:
    """Their tracebacks refer to much."""

    def credentials() -> tuple[str, str]:
        raise RuntimeError("no token")

    with FakeServer(lambda _: b"-ERR unknown command\r\n") as fake:
        for _ in range(_credentials._RAISED_MAX + 6):
            with pytest.raises(redcol.AuthenticationError) as caught:
                redcol.connect(fake.url, credentials=credentials)
            assert isinstance(caught.value.__cause__, RuntimeError)
            assert len(_credentials._raised) <= _credentials._RAISED_MAX


def test_nothing_is_kept_of_a_function_whose_client_is_gone() -> None:
    tokens = Tokens()
    kept = weakref.ref(tokens)
    with serving() as server:
        client = redcol.connect(server.url, credentials=tokens)
        batches = redcol.iter_stream(client, "s", reconnect_timeout_ms=100)
        tokens.error = RuntimeError("no token")
        disconnect(server)
        with contextlib.suppress(redcol.AuthenticationError):
            while True:
                next(batches)
        del tokens
        client.close()
        del client
        gc.collect()
        assert kept() is not None
        batches.close()
        del batches
        gc.collect()
        assert kept() is None
        for _ in range(3):
            with pytest.raises(redcol.AuthenticationError):
                redcol.connect(server.url, credentials=lambda: ("app", "two"))
    before = _native.live_objects()
    gc.collect()
    assert _native.live_objects() == before


# The end of the process.

NEVER_RETURNS = """
import sys, threading, redcol
def never():
    threading.Event().wait()
try:
    redcol.connect(sys.argv[1], credentials=never, connect_timeout_ms=200)
except redcol.TimedOutError:
    print("timed out")
"""

ALWAYS_ASKED = """
import sys, threading, time, redcol
asked = threading.Event()
def busy():
    asked.set()
    for _ in range(1000):
        time.sleep(0.0001)
    return "app", "two"
def connect():
    while True:
        try:
            redcol.connect(sys.argv[1], credentials=busy)
        except redcol.AuthenticationError:
            pass
for _ in range(4):
    threading.Thread(target=connect, daemon=True).start()
asked.wait()
time.sleep(int(sys.argv[2]) / 1000)
print("timed out")
"""

FORKS = """
import os, sys, redcol
def forks():
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "app", "one"
with redcol.connect(sys.argv[1], credentials=forks) as client:
    assert len(redcol.read_stream(client, "s")) == 1
    if (child := os.fork()) == 0:
        try:
            redcol.read_stream(client, "s")
        except redcol.ForkedError:
            sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert len(redcol.read_stream(client, "s")) == 1
print("timed out")
"""


@pytest.mark.parametrize(
    ("program", "more"),
    [(NEVER_RETURNS, ""), (FORKS, ""), *[(ALWAYS_ASKED, str(ms)) for ms in (0, 7, 30)]],
    ids=["never-returns", "forks", "asked-0", "asked-7", "asked-30"],
)
def test_a_process_that_ends(program: str, more: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with serving() as server:
        ended = subprocess.run(
            [sys.executable, "-c", program, server.url, more],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "timed out\n", "")
