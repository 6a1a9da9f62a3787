# SPDX-License-Identifier: Apache-2.0
"""Sessions of TLS that are resumed or not, and how a server ends TLS."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from pathlib import Path

import polars as pl
import pytest
import redis

import redcol
from servers import FakeServer, Server
from tls_files import Relay, tls_url

SCHEMA = {"n": pl.Int64}


def test_a_session_is_of_one_host() -> None:
    """Who resumes one checks no certificate: another host's would be taken without a look.

    A made-up server is both the Sentinel and the master, whose name changes.
    """
    hosts = ["127.0.0.1", "localhost"]
    host = hosts[0]

    def answer(command: list[bytes]) -> bytes:
        if command[0] == b"SENTINEL":
            port = str(relay.port)
            return f"*2\r\n${len(host)}\r\n{host}\r\n${len(port)}\r\n{port}\r\n".encode()
        return b"*0\r\n" if command[0] == b"XRANGE" else b"-ERR unknown command\r\n"

    with FakeServer(answer) as fake, Relay(Path(fake.url.removeprefix("unix://"))) as relay:
        url = tls_url(relay.port).replace("rediss://", "rediss+sentinel://").replace("?", "/s?")
        with redcol.connect(url) as client:
            for host in hosts:  # noqa: B007 (the Sentinel names it)
                for connection in list(fake.connections):
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
                assert redcol.read_stream(client, "s", schema=SCHEMA).is_empty()
        assert not relay.resumed[relay.names.index("localhost")]


class Forgetful(Relay):
    """Closes connections that offer a session."""

    refused = 0

    def _serve(self, plain: socket.socket) -> None:
        if offers_a_session(plain.recv(65_536, socket.MSG_PEEK)):
            self.refused += 1
            plain.close()
        else:
            super()._serve(plain)


def offers_a_session(hello: bytes) -> bool:
    """Whether a ClientHello has the extension pre_shared_key: RFC 8446, 4.1.2 and 4.2.11."""
    at = 44 + hello[43]  # after the session id
    at += 2 + int.from_bytes(hello[at : at + 2], "big")  # cipher suites
    at += 1 + hello[at] + 2  # compression methods, and the length of the extensions
    while at < len(hello):
        if hello[at : at + 2] == b"\x00\x29":
            return True
        at += 4 + int.from_bytes(hello[at + 2 : at + 4], "big")
    return False


def test_a_session_that_is_not_taken_is_not_offered_again(
    server: Server, db: redis.Redis, key: str
) -> None:
    with Forgetful(server.socket_path) as relay, redcol.connect(relay.url()) as client:
        for _ in range(2):
            assert redcol.read_stream(client, key, schema=SCHEMA).is_empty()
            db.client_kill_filter(_type="normal", skipme=True)
        assert relay.refused == 1


class Goodbye(Relay):
    """Passes on half of an entry, and says in the same piece that TLS ends. TCP stays open."""

    goodbyes = 0

    def answer(self, client: ssl.SSLSocket, data: bytes) -> None:
        if self.goodbyes or b"$3\r\n1-1\r\n" not in data:
            super().answer(client, data)
            return
        self.goodbyes += 1
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        client.sendall(data[: len(data) // 2])
        client.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            client.unwrap()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


def test_an_end_of_tls_that_comes_with_bytes(
    server: Server, db: redis.Redis, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The poller knows nothing of it, and nothing more would come."""
    db.xadd(key, {"n": 1}, id="1-1")
    caplog.set_level(logging.INFO, "redcol")
    with Goodbye(server.socket_path) as relay:
        frame = redcol.read_stream(relay.url(), key, schema=SCHEMA)
        assert frame["n"].to_list() == [1]
        assert relay.goodbyes == 1
        assert len(relay.resumed) == 2
    assert "the server closed the connection" in caplog.text
