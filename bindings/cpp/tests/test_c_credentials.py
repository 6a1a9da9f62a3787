# SPDX-License-Identifier: Apache-2.0
"""Credentials from a callback: ownership, what it may set, and what comes back."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from ctypes import byref, c_int32, c_void_p
from typing import Any

import pytest
from statuses import STATUSES, call, free, words

from redcol import _native
from servers import Server

CALLBACK = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p)
RELEASE = ctypes.CFUNCTYPE(None, c_void_p)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started, started.client() as db:
        db.execute_command("ACL", "SETUSER", "app", "on", ">one", "~*", "+@all")
        db.xadd("s", {"a": 1})
        yield started


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = _native.live_objects()
    yield
    assert _native.live_objects() == before


def set_to(request: Any, user: bytes | None, password: bytes | None) -> int:
    return call("redcol_credentials_set", request, user, -1, password, -1)


class Credentials:
    """A handle of redcol_credentials_new, and how often its callbacks were called."""

    def __init__(
        self, answer: Callable[[Any], int] = lambda request: set_to(request, b"app", b"one")
    ):
        self.handle = c_void_p()
        self.asked: list[int] = []
        self.released: list[int] = []

        def ask(request: int, user_data: int) -> int:
            self.asked.append(user_data)
            return answer(request)

        self.callbacks = CALLBACK(ask), RELEASE(lambda data: self.released.append(data))
        pointers = [ctypes.cast(one, c_void_p) for one in self.callbacks]
        made = call("redcol_credentials_new", pointers[0], 77, pointers[1], byref(self.handle))
        assert made == 0

    def open(self, url: str, **options: object) -> tuple[int, c_void_p]:
        client = c_void_p()
        arguments = url.encode(), words(**options), self.handle
        return call("redcol_open_with_credentials", *arguments, byref(client)), client


def read(client: c_void_p) -> tuple[int, c_void_p]:
    iterator = c_void_p()
    arguments = client, b"s", -1, None, words(follow="true", block_ms=50)
    return call("redcol_read_stream", *arguments, byref(iterator)), iterator


def test_handles_are_freed_in_any_order(server: Server) -> None:
    credentials = Credentials()
    status, client = credentials.open(server.url)
    assert (status, credentials.asked) == (0, [77])
    first, second = read(client), read(client)
    assert first[0] == second[0] == 0
    assert credentials.asked == [77, 77]
    for handle in (credentials.handle, client, second[1]):
        free(handle)
        assert credentials.released == []
    free(first[1])
    assert credentials.released == [77]


def test_release_without_a_client(server: Server) -> None:
    credentials = Credentials()
    free(credentials.handle)
    assert (credentials.asked, credentials.released) == ([], [77])


def test_release_waits_for_a_callback_that_runs(server: Server) -> None:
    may_return, released = threading.Event(), threading.Event()

    def slow(request: Any) -> int:
        may_return.wait(60)
        return set_to(request, b"app", b"one")

    credentials = Credentials(slow)
    callbacks = credentials.callbacks  # kept while they run
    released_list = credentials.released
    status, _ = credentials.open(server.url, connect_timeout_ms=100)
    assert status == STATUSES["TIMED_OUT"]
    free(credentials.handle)
    assert released_list == []
    may_return.set()
    while not released_list:
        released.wait(0.01)
    assert callbacks


def test_a_read_that_waits_for_credentials_can_be_cancelled(server: Server) -> None:
    """In an event loop, too: a call without a wait comes back at once."""
    may_return = threading.Event()

    def slow(request: Any) -> int:
        may_return.wait(60)
        return set_to(request, b"app", b"one")

    credentials = Credentials(slow)
    status, client = credentials.open(server.url, connect="later", connect_timeout_ms=60_000)
    assert (status, credentials.asked) == (0, [])
    iterator = c_void_p()
    options = words(follow="true", block_ms=50, connect="later")
    assert call("redcol_read_stream", client, b"s", -1, None, options, byref(iterator)) == 0
    assert call("redcol_iter_connect", iterator, 0) == STATUSES["TIMEOUT"]
    assert call("redcol_iter_connect", iterator, 10) == STATUSES["TIMEOUT"]
    assert call("redcol_cancel", iterator) == 0
    assert call("redcol_iter_connect", iterator, -1) == STATUSES["CANCELLED"]
    may_return.set()
    assert call("redcol_iter_connect", iterator, -1) == 0
    assert credentials.asked == [77]
    for handle in (iterator, client, credentials.handle):
        free(handle)


def test_what_the_callback_returns(server: Server) -> None:
    library = _native.library()
    for answer, code in ((lambda _: 42, b"42"), (lambda _: -1, b"-1"), (lambda _: 0, None)):
        credentials = Credentials(answer)
        client, error = c_void_p(), c_void_p()
        status = library.redcol_open_with_credentials(
            server.url.encode(), None, credentials.handle, byref(client), byref(error)
        )
        assert status == STATUSES["AUTHENTICATION"]
        assert library.redcol_error_detail(error, b"provider_code") == code
        free(error)
        free(credentials.handle)
    # Set, and then thought better of.
    credentials = Credentials(lambda request: 1 + set_to(request, b"app", b"one"))
    assert credentials.open(server.url)[0] == STATUSES["AUTHENTICATION"]
    free(credentials.handle)


def test_what_can_be_set(server: Server) -> None:
    invalid = STATUSES["INVALID_ARGUMENT"]

    def answer(request: Any) -> int:
        name = "redcol_credentials_set"
        assert call(name, None, b"a", -1, b"b", -1) == invalid
        assert call(name, request, b"a", -1, None, -1) == invalid
        assert call(name, request, b"a", -2, b"b", -1) == invalid
        assert call(name, request, b"a", -1, b"b", -2) == invalid
        assert call(name, request, b"x" * 65_537, -1, b"b", -1) == invalid
        assert call(name, request, b"a", -1, b"x" * 65_537, -1) == invalid
        assert call(name, request, b"x" * 65_536, -1, b"x" * 65_536, -1) == 0
        assert set_to(request, None, b"two") == 0
        assert call(name, request, b"application", 3, b"one and more", 3) == 0
        answered.append(True)
        return 0

    answered: list[bool] = []
    credentials = Credentials(answer)
    status, client = credentials.open(server.url)
    assert (status, answered) == (0, [True])
    free(client)
    free(credentials.handle)


def test_what_cannot_be_right(server: Server) -> None:
    invalid = STATUSES["INVALID_ARGUMENT"]
    credentials = Credentials()
    for url, options in (
        ("redis://:one@host", {}),
        ("redis://app@host", {}),
        ("redis://host", {"password_file": "/nowhere"}),
        ("nonsense", {}),
        ("redis://host", {"nonsense": 1}),
    ):
        assert credentials.open(url, **options)[0] == invalid
    client, other = c_void_p(), c_void_p()
    assert call("redcol_open", server.url.encode(), None, byref(client)) == 0
    arguments = server.url.encode(), None
    assert call("redcol_open_with_credentials", *arguments, client, byref(other)) == invalid
    for function in ("redcol_close", "redcol_cancel"):
        assert call(function, credentials.handle) == invalid
    free(client)
    assert credentials.asked == []
    free(credentials.handle)
