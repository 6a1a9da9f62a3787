# SPDX-License-Identifier: Apache-2.0
"""A name that stands for several addresses: the one that answers is found."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import Server, free_port

SOURCE = Path(__file__).with_name("addresses.c")

PROGRAM = """
import sys, redcol
try:
    with redcol.connect(sys.argv[1], connect_timeout_ms=int(sys.argv[2])) as client:
        print(len(redcol.read_stream(client, "s")))
except redcol.RedcolError as error:
    print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("addresses") / "addresses.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-o", library, SOURCE], check=True)
    return library


@contextlib.contextmanager
def black_hole(address: str, port: int) -> Iterator[None]:
    """Nobody answers there, neither yes nor no: the queue of a listener is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect((address, port))
        yield


def connect(preloaded: Path, addresses: list[str], port: int, connect_timeout_ms: int) -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "LD_PRELOAD": str(preloaded),
        "REDCOL_TEST_ADDRESSES": ",".join(addresses),
    }
    command = [sys.executable, "-c", PROGRAM, f"redis://some-host:{port}", str(connect_timeout_ms)]
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=120
    ).stdout.strip()


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.2", "127.0.0.1"],
        ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.1"],
        ["127.0.0.3", "127.0.0.1"],
        ["127.0.0.1", "127.0.0.2"],
    ],
    ids=["dead", "many", "refusing", "first"],
)
def test_the_address_that_answers(preloaded: Path, addresses: list[str]) -> None:
    bound = ("--bind", "127.0.0.1")
    with Server(tcp=True, args=bound) as server, black_hole("127.0.0.2", server.port):
        assert connect(preloaded, addresses, server.port, 20_000) == "0"


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["127.0.0.2", "127.0.0.2"], "TimedOutError"),
        (["127.0.0.3", "127.0.0.4"], "ConnectionFailedError"),
        (["127.0.0.2", "127.0.0.3"], "TimedOutError"),
    ],
)
def test_no_address_answers(preloaded: Path, addresses: list[str], expected: str) -> None:
    port = free_port()
    with black_hole("127.0.0.2", port):
        assert connect(preloaded, addresses, port, 700) == expected
