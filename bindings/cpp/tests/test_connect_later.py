# SPDX-License-Identifier: Apache-2.0
"""A read that connects later: nothing is sent and nothing blocks before redcol_iter_connect."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from ctypes import byref, c_void_p
from typing import Any

import pytest
from statuses import FOLLOW, GROUP, STATUSES, Reading, call, free, words

from redcol import _native
from servers import FakeServer, Server, silent

LATER = {"connect": "later"}


class Later(Reading):
    """As Reading, of a client that was opened without connecting."""

    def __init__(self, url: str, **options: Any) -> None:
        self.client, self.iter, self.stream = c_void_p(), c_void_p(), b"s"
        self.options = {**LATER, **options}
        given = words(timeout_ms=2_000, connect_timeout_ms=2_000, **LATER)
        assert call("redcol_open", url.encode(), given, byref(self.client)) == 0

    @property
    def descriptor(self) -> int:
        return int(_native.library().redcol_iter_descriptor(self.iter))

    def connect_elsewhere(self) -> int:
        """redcol_iter_connect without a wait, whenever the descriptor says so."""
        while (status := self.connect(0)) == STATUSES["TIMEOUT"]:
            assert select.select([self.descriptor], [], [], 20)[0], "it is never worth it"
        return status


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = _native.live_objects()
    yield
    assert _native.live_objects() == before


def test_nothing_is_sent_before() -> None:
    with FakeServer(silent) as server:
        for options in (FOLLOW, GROUP, {"block_ms": 5}, {"start_id": "$", **FOLLOW}, {}):
            reading = Later(server.url, **options)
            assert reading.start() == 0
            assert server.connections == []
            reading.free()


def test_what_is_added_after_it_is_not_missed() -> None:
    with Server() as server, server.client() as db:
        for options in ({"start_id": "$", **FOLLOW}, {"group_start_id": "$", **GROUP}):
            db.xadd("s", {"a": 1})
            reading = Later(server.url, **options)
            assert reading.start() == 0
            db.xadd("s", {"a": 2})
            assert reading.connect_elsewhere() == 0
            assert reading.connect() == reading.connect(0) == 0
            db.xadd("s", {"a": 3})
            assert reading.next(5_000) == 0
            statistic = _native.library().redcol_iter_statistic
            assert statistic(reading.iter, b"delivered") == 1
            assert reading.next(0) == STATUSES["TIMEOUT"]
            reading.free()


def test_a_batch_may_be_asked_for_at_once() -> None:
    with Server() as server, server.client() as db:
        db.xadd("s", {"a": 1})
        for options in (FOLLOW, GROUP, {"block_ms": 5}, {}):
            reading = Later(server.url, **options)
            assert reading.start() == 0
            assert reading.next(5_000) == 0
            assert reading.connect(0) == 0
            reading.free()


@pytest.mark.parametrize("function", ["connect", "next"])
def test_a_server_that_is_stopped(function: str) -> None:
    """A call without a wait comes back at once; the descriptor tells when the time is over."""
    with Server() as server:
        reading = Later(server.url, start_id="$", **FOLLOW)
        os.kill(server.process.pid, signal.SIGSTOP)
        assert reading.start() == 0
        ask = getattr(reading, function)
        began = time.monotonic()
        assert ask(0) == STATUSES["TIMEOUT"]
        assert time.monotonic() - began < 1.5
        assert ask(100) == STATUSES["TIMEOUT"]
        while (status := ask(0)) == STATUSES["TIMEOUT"]:
            assert select.select([reading.descriptor], [], [], 20)[0]
        assert status == STATUSES["TIMED_OUT"]
        os.kill(server.process.pid, signal.SIGCONT)
        # It begins again when it is asked again.
        assert reading.connect() == 0
        reading.free()


def test_a_connection_that_is_lost_on_the_way() -> None:
    """What was asked on the old connection is asked again on the new one."""
    asked: list[list[bytes]] = []

    def answer(command: list[bytes]) -> bytes | None:
        asked.append(command)
        return None if command[0] == b"XREVRANGE" and len(asked) < 4 else b"*0\r\n"

    with FakeServer(answer) as server:
        reading = Later(server.url, start_id="$", **FOLLOW)
        assert reading.start() == 0
        while [b"XREVRANGE"] not in [command[:1] for command in asked]:
            assert reading.connect(10) == STATUSES["TIMEOUT"]
        server.connections[0].shutdown(2)
        assert reading.connect_elsewhere() == STATUSES["CONNECTION"]
        asked += [[b""]] * 4
        assert reading.connect_elsewhere() == 0
        assert asked[-1][0] == b"XREVRANGE"
        reading.free()


def test_what_it_may_be() -> None:
    client, error = c_void_p(), STATUSES["INVALID_ARGUMENT"]
    given = words(connect="never")
    assert call("redcol_open", b"unix:///nowhere", given, byref(client)) == error
    assert call("redcol_open", b"http://nowhere", words(**LATER), byref(client)) == error
    assert call("redcol_open", b"unix:///nowhere", words(**LATER), byref(client)) == 0
    iterator = c_void_p()
    for value, status in (("never", error), ("later", 0), ("now", STATUSES["CONNECTION"])):
        options = words(**FOLLOW, connect=value)
        arguments = (client, b"s", -1, None, options, byref(iterator))
        assert call("redcol_read_stream", *arguments) == status
        free(iterator)
        iterator.value = None
    free(client)
