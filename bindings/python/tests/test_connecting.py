# SPDX-License-Identifier: Apache-2.0
"""What a connection tells the server and the system: who it is, and when a peer has vanished."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
from collections.abc import Iterator
from typing import Any

import pytest

import redcol
from redcol import _native
from servers import SERVERS, Server

pytestmark = pytest.mark.usefixtures("no_leaks")

#: From 7.2 on.
KNOW_SETINFO = {"r8", "v9"}


def ours(server: Server) -> dict[str, str]:
    """What CLIENT LIST says of the only connection that is not the test's."""
    with server.client(client_name="the-test") as db:
        (found,) = [one for one in db.client_list() if one["name"] != "the-test"]
    return dict(found)


@pytest.mark.parametrize("kind", SERVERS)
def test_what_the_server_is_told(kind: str) -> None:
    with Server(SERVERS[kind]) as server:
        for arguments, name in (({}, ""), ({"client_name": "loader-3"}, "loader-3")):
            with redcol.connect(f"{server.url}?db=2", **arguments) as client:
                found = ours(server)
                assert found["name"] == name
                assert found["db"] == "2"
                if kind in KNOW_SETINFO:
                    assert found["lib-name"] == "redcol"
                    assert found["lib-ver"] == _native.version()
                assert len(redcol.read_stream(client, "s")) == 0
            with contextlib.suppress(ValueError):  # until the server has noticed
                while ours(server):
                    pass


@pytest.mark.parametrize("name", ["a b", "a\n", "", "é", "a\0", 1, "a" * 1_025])
def test_names_that_no_server_takes(name: Any) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="client_name"):
        redcol.connect("unix:///nowhere", client_name=name)


def test_a_long_name() -> None:
    with Server() as server, redcol.connect(server.url, client_name="a" * 1_024):
        assert ours(server)["name"] == "a" * 1_024


@pytest.mark.parametrize("kind", SERVERS)
def test_a_user_who_may_not_use_client(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "redcol")
    with Server(SERVERS[kind]) as server:
        with server.client() as db:
            db.execute_command("ACL", "SETUSER", "app", "on", ">one", "~*", "+xrange", "+select")
        url = server.url.replace("unix://", "unix://app:one@")
        with redcol.connect(f"{url}?db=1") as client:
            assert len(redcol.read_stream(client, "s")) == 0
        assert "name" not in caplog.text
        with redcol.connect(f"{url}?db=1", client_name="loader") as client:
            assert len(redcol.read_stream(client, "s")) == 0
        assert "the connection has no name" in caplog.text
        assert "NOPERM" in caplog.text


# TCP.


def status_mode(descriptor: int) -> int:
    """What kind of file a descriptor is, as in `os.stat`; 0 if it is closed."""
    try:
        return os.fstat(descriptor).st_mode
    except OSError:
        return 0


@contextlib.contextmanager
def socket_to(port: int) -> Iterator[socket.socket]:
    """The socket of this process that is connected to a port, as one more descriptor of it."""
    found = []
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        # Some are no sockets, and one was open only to list the others.
        if not stat.S_ISSOCK(status_mode(descriptor)):
            continue
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as one:
            if one.family == socket.AF_INET and one.getpeername()[1] == port:
                found.append(descriptor)
    with socket.socket(fileno=os.dup(min(found))) as one:
        yield one


@pytest.mark.parametrize("milliseconds", [0, 1_000])
def test_a_unix_socket_does_not_vanish(milliseconds: int) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="keepalive_ms is about TCP"):
        redcol.connect("unix:///nowhere", keepalive_ms=milliseconds)


@pytest.mark.parametrize(
    ("arguments", "seconds", "unanswered_ms"),
    [
        ({}, (15, 5), 30_000),
        ({"keepalive_ms": 60_000}, (30, 10), 60_000),
        ({"keepalive_ms": 1}, (1, 1), 5_000),
        ({"keepalive_ms": 6_000, "timeout_ms": 20_000}, (3, 1), 20_000),
        ({"keepalive_ms": 6_000, "connect_timeout_ms": 21_000}, (3, 1), 21_000),
        ({"keepalive_ms": 2**31 - 1}, (32_767, 32_767), 2**31 - 1),
        ({"keepalive_ms": 0}, None, 0),
    ],
)
def test_a_peer_that_has_vanished(
    arguments: dict[str, int], seconds: tuple[int, int] | None, unanswered_ms: int
) -> None:
    with Server(tcp=True) as server, redcol.connect(server.url, **arguments) as client:
        with socket_to(server.port) as connection:

            def option(name: str, level: int = socket.IPPROTO_TCP) -> int:
                return connection.getsockopt(level, getattr(socket, name))

            assert option("SO_KEEPALIVE", socket.SOL_SOCKET) == (seconds is not None)
            assert option("TCP_USER_TIMEOUT") == unanswered_ms
            if seconds is not None:
                assert (option("TCP_KEEPIDLE"), option("TCP_KEEPINTVL")) == seconds
                assert option("TCP_KEEPCNT") == 3
        assert len(redcol.read_stream(client, "s")) == 0
