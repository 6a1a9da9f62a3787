# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator

import pytest
import redis

from leaks import no_leaks  # noqa: F401
from servers import REDIS_7, SERVERS, Server

_keys = itertools.count()

# A shell starts background jobs with Ctrl-C ignored, and so would be all that is started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with Server(REDIS_7) as started:
        yield started


@pytest.fixture(scope="session", params=SERVERS.values(), ids=SERVERS)
def any_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param) as started:
        yield started


@pytest.fixture
def url(any_server: Server) -> str:
    return any_server.url


@pytest.fixture
def any_db(any_server: Server) -> Iterator[redis.Redis]:
    """redis-py, on the server of `any_server`."""
    with any_server.client() as client:
        yield client


@pytest.fixture(scope="session")
def db(server: Server) -> Iterator[redis.Redis]:
    """redis-py, to write what redcol reads."""
    with server.client() as client:
        yield client


@pytest.fixture
def key() -> str:
    """A stream that nobody else uses."""
    return f"stream-{next(_keys)}"
