# SPDX-License-Identifier: Apache-2.0
"""Names: several addresses of which one answers, and look-ups that take long."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
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


def environment(preloaded: Path, addresses: list[str], **paths: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "LD_PRELOAD": str(preloaded),
        "REDCOL_TEST_ADDRESSES": ",".join(addresses),
        **{f"REDCOL_TEST_{name.upper()}": str(path) for name, path in paths.items()},
    }


def connect(
    preloaded: Path, addresses: list[str], port: int, connect_timeout_ms: int, **paths: Path
) -> str:
    command = [sys.executable, "-c", PROGRAM, f"redis://some-host:{port}", str(connect_timeout_ms)]
    variables = environment(preloaded, addresses, **paths)
    return subprocess.run(
        command, env=variables, stdout=subprocess.PIPE, text=True, check=True, timeout=120
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
    ("addresses", "connect_timeout_ms", "expected"),
    [
        (["127.0.0.2", "127.0.0.2"], 700, "TimedOutError"),
        (["127.0.0.3", "127.0.0.4"], 60_000, "ConnectionFailedError"),
        (["127.0.0.2", "127.0.0.3"], 700, "TimedOutError"),
    ],
)
def test_no_address_answers(
    preloaded: Path, addresses: list[str], connect_timeout_ms: int, expected: str
) -> None:
    port = free_port()
    with black_hole("127.0.0.2", port):
        assert connect(preloaded, addresses, port, connect_timeout_ms) == expected


@pytest.mark.parametrize(
    ("addresses", "order"),
    [
        (["127.0.0.2", "127.0.0.3", "127.0.0.4", "::1", "::2"], [0, 3, 1, 4, 2]),
        (["::1", "::2", "::3", "127.0.0.2"], [0, 3, 1, 2]),
        (["::1", "127.0.0.2", "127.0.0.3"], [0, 1, 2]),
        (["127.0.0.2", "127.0.0.3"], [0, 1]),
    ],
    ids=["four-first", "six-first", "mixed", "one-family"],
)
def test_families_take_turns(
    preloaded: Path, tmp_path: Path, addresses: list[str], order: list[int]
) -> None:
    tried = tmp_path / "tried"
    failed = connect(preloaded, addresses, free_port(), 20_000, connected=tried)
    assert failed == "ConnectionFailedError"
    assert tried.read_text().split() == [addresses[index] for index in order]


# Look-ups that take long.

IN_AN_EVENT_LOOP = """
import asyncio, pathlib, sys, redcol

async def main(url, gate):
    batches = redcol.stream_batches(
        url, "s", on_idle="stop", block_ms=10, connect_timeout_ms=60_000
    )
    connecting = asyncio.ensure_future(batches.connected())
    for _ in range(20):
        await asyncio.sleep(0.01)
        assert not connecting.done()
    pathlib.Path(gate).touch()
    await connecting
    print(sum([len(batch) async for batch in batches]))
    batches.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_look_up_does_not_block_an_event_loop(preloaded: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with Server(tcp=True, args=("--bind", "127.0.0.1")) as server:
        server.client().xadd("s", {"a": 1})
        variables = environment(preloaded, ["127.0.0.1"], resolved=gate)
        command = [sys.executable, "-c", IN_AN_EVENT_LOOP, f"redis://some-host:{server.port}", gate]
        ended = subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=120, check=False
        )
    assert (ended.stdout, ended.stderr) == ("1\n", "")


def test_a_look_up_that_never_ends(preloaded: Path, tmp_path: Path) -> None:
    never = tmp_path / "never"
    assert connect(preloaded, ["127.0.0.1"], free_port(), 300, resolved=never) == "TimedOutError"


WAITING = """
import sys, redcol
print("began", flush=True)
try:
    redcol.connect(sys.argv[1], connect_timeout_ms=60_000)
except KeyboardInterrupt:
    print("interrupted")
"""


def waits(process: subprocess.Popen[str]) -> bool:
    """Whether it has begun a look-up, and its main thread sleeps."""
    main = Path(f"/proc/{process.pid}/task/{process.pid}/stat").read_text()
    return len(os.listdir(f"/proc/{process.pid}/task")) > 1 and main.split(") ")[1][0] == "S"


def test_ctrl_c_during_a_look_up(preloaded: Path, tmp_path: Path) -> None:
    variables = environment(preloaded, ["127.0.0.1"], resolved=tmp_path / "never")
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, "redis://some-host"],
        env=variables, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "began\n"
        deadline = time.monotonic() + 60
        while not waits(process) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "interrupted\n"


def test_no_thread_for_an_address(preloaded: Path, tmp_path: Path) -> None:
    """The look-up of a name would never end."""
    program = "import sys, redcol; redcol.connect(sys.argv[1]).close(); print('connected')"
    variables = environment(preloaded, [], resolved=tmp_path / "never")
    with Server(tcp=True, args=("--bind", "127.0.0.1", "::1")) as server:
        for host in ("127.0.0.1", "[::1]"):
            command = [sys.executable, "-c", program, f"redis://{host}:{server.port}"]
            ended = subprocess.run(
                command, env=variables, capture_output=True, text=True, timeout=60
            )
            assert ended.stdout == "connected\n", ended.stderr
