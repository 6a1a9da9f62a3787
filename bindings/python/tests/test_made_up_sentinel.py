# SPDX-License-Identifier: Apache-2.0
"""Replicas that a Sentinel describes in ways that a real one cannot be brought to at will."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import polars as pl
import pytest

import redcol
from servers import Server, read_commands

SCHEMA = {"n": pl.Int64}


def strings(*words: object) -> bytes:
    texts = "".join(f"${len(str(word))}\r\n{word}\r\n" for word in words)
    return f"*{len(words)}\r\n{texts}".encode()


@contextlib.contextmanager
def listening(answer: Callable[[list[bytes]], bytes | None]) -> Iterator[int]:
    """A port where commands are answered; None closes the connection."""
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            for command in read_commands(stream):
                if (reply := answer(command)) is None:
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                connection.sendall(reply)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield int(listener.getsockname()[1])
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        accepting.join(5)
    for thread in threads:
        thread.join(5)


def sentinel(master: int, replica: int, flags: str = "slave", link: str = "ok"):
    """Names a master and one replica."""

    def answer(command: list[bytes]) -> bytes:
        if command[1:2] == [b"GET-MASTER-ADDR-BY-NAME"]:
            return strings("127.0.0.1", master)
        if command[1:2] == [b"REPLICAS"]:
            state = ("flags", flags, "master-link-status", link)
            return b"*1\r\n" + strings("ip", "127.0.0.1", "port", replica, *state)
        return b"-ERR unknown command\r\n"

    return listening(answer)


@pytest.mark.parametrize(
    ("flags", "link", "expected"),
    [
        ("slave", "ok", 2),
        ("slave,s_down", "ok", 1),
        ("slave,disconnected", "ok", 1),
        ("slave", "err", 1),
    ],
)
def test_replicas_that_are_not_in_order(flags: str, link: str, expected: int) -> None:
    """They may answer, but with what was written long ago."""
    with Server(tcp=True) as master, Server(tcp=True) as replica:
        for number, server in ((1, master), (2, replica)):
            with server.client() as db:
                db.xadd("s", {"n": number})
        with sentinel(master.port, replica.port, flags, link) as port:
            url = f"redis+sentinel://127.0.0.1:{port}/service?read_from=replica"
            assert redcol.read_stream(url, "s", schema=SCHEMA)["n"].to_list() == [expected]


def test_a_replica_is_asked_again_after_a_lost_connection() -> None:
    asked = 0

    def answer(command: list[bytes]) -> bytes | None:
        nonlocal asked
        if command[0] != b"XRANGE":
            return b"-ERR unknown command\r\n"
        asked += 1
        return None if asked == 1 else b"*1\r\n" + b"*2\r\n$3\r\n1-1\r\n" + strings("n", 2)

    with (
        Server(tcp=True) as master,
        listening(answer) as replica,
        sentinel(master.port, replica) as port,
    ):
        url = f"redis+sentinel://127.0.0.1:{port}/service?read_from=replica"
        frame = redcol.read_stream(url, "s", schema=SCHEMA, count=1)
        assert frame["n"].to_list() == [2]
    assert asked == 2
