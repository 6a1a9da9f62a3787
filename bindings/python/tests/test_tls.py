# SPDX-License-Identifier: Apache-2.0
"""Connections with TLS do what those without it do: lost, interrupted, forked, and very many."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import redis
from test_following import test_guide_with_a_consumer_group  # noqa: F401
from test_interrupt import PROGRAM, start

import redcol
from cases import IS_WHOLE
from grouping import GROUP
from proxy import Faults, Link, Proxy
from redcol import _native
from servers import REDIS_7, FakeServer, Server
from tls_files import Relay, TLSServer, files, tls_url

HERE = Path(__file__).parent
SCHEMA = {"n": pl.Int64, "t": pl.String}


@pytest.fixture(scope="module")
def tls() -> Iterator[TLSServer]:
    with TLSServer() as server:
        yield server


@pytest.fixture(scope="module")
def any_server(tls: TLSServer) -> TLSServer:
    """What the guide's group reads from, which no relay may come between: a test looks whether an
    acknowledgement that was sent has arrived."""
    return tls


@pytest.fixture
def many(tls: TLSServer, key: str) -> Iterator[str]:
    """A stream of 20,000 entries, about 2 MB of answers."""
    with tls.client() as db:
        fill(db, key, 20_000)
        yield key
        db.delete(key)


def fill(db: redis.Redis, key: str, entries: int) -> None:
    script = (
        "for n = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], n .. '-1', 'n', n, 't', "
        "string.rep('x', n % 50)) end"
    )
    db.eval(script, 1, key, entries)


def is_whole(frame: pl.DataFrame, entries: int) -> bool:
    return frame["n"].to_list() == list(range(1, entries + 1))


def test_large_answers(tls: TLSServer, many: str, no_leaks: None) -> None:
    with redcol.connect(tls.url) as client:
        assert is_whole(redcol.read_stream(client, many, schema=SCHEMA), 20_000)
        frames = list(
            redcol.iter_stream(client, many, schema=SCHEMA, batch_size=7_000, count=20_000)
        )
        assert is_whole(pl.concat(frames), 20_000)


def test_the_event_loop_does_not_sleep_with_answers_in_hand(tls: TLSServer, many: str) -> None:
    async def main() -> None:
        rows = []
        async for batch in redcol.stream_batches(
            tls.url, many, schema=SCHEMA, batch_size=20_000, count=20_000
        ):
            rows.append(batch)
        assert is_whole(pl.concat(rows), 20_000)

    asyncio.run(asyncio.wait_for(main(), 60))


@contextlib.contextmanager
def changing_keys(how: str, server: Server, folder: Path) -> Iterator[str]:
    """The URL of a relay that changes keys in the middle of answers."""
    program = folder / "key_updates"
    command = ["cc", "-O1", "-pthread", str(HERE / "key_updates.c"), "-o", str(program)]
    subprocess.run([*command, "-l:libssl.so.3", "-l:libcrypto.so.3"], check=True)
    pair = files().server
    arguments = [program, pair.certificate, pair.key, server.socket_path, how]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True) as relay:
        assert relay.stdout is not None
        assert relay.stdin is not None
        try:
            yield tls_url(int(relay.stdout.readline()))
            assert relay.poll() is None
        finally:
            relay.stdin.close()


def test_new_keys_in_the_middle(key: str, tmp_path: Path) -> None:
    with Server(REDIS_7) as server, server.client() as db:
        fill(db, key, 3_000)
        with changing_keys("update", server, tmp_path) as url, redcol.connect(url) as client:
            assert is_whole(redcol.read_stream(client, key, schema=SCHEMA), 3_000)
            frame = pl.DataFrame({"_key": [f"h{n}" for n in range(3_000)], "n": range(3_000)})
            assert redcol.write_hashes(client, frame) == 3_000

            async def main() -> None:
                batches = redcol.stream_batches(
                    client, key, schema=SCHEMA, batch_size=500, count=3_000
                )
                assert is_whole(pl.concat([batch async for batch in batches]), 3_000)

            asyncio.run(asyncio.wait_for(main(), 60))


IN_A_FULL_SOCKET = """
import sys, polars as pl, redcol
schema = {"n": pl.Int64, "t": pl.String}
print(redcol.read_stream(sys.argv[1], sys.argv[2], schema=schema)["n"].to_list())
"""


def test_new_keys_while_nothing_can_be_sent(key: str, tmp_path: Path) -> None:
    """Receiving has to answer the server first, and goes on when the socket takes that."""
    library = tmp_path / "full_socket.so"
    command = ["cc", "-shared", "-fPIC", "-Wall", str(HERE / "full_socket.c"), "-o", str(library)]
    subprocess.run([*command, "-ldl"], check=True)
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LD_PRELOAD": str(library)}
    with Server(REDIS_7) as server, server.client() as db:
        fill(db, key, 3_000)
        with changing_keys("update", server, tmp_path) as url:
            program = [sys.executable, "-c", IN_A_FULL_SOCKET, url, key]
            read = subprocess.run(
                program, env=variables, stdout=subprocess.PIPE, text=True, check=True, timeout=120
            )
    assert read.stdout == f"{list(range(1, 3_001))}\n"


def test_another_handshake_in_the_middle_is_refused(key: str, tmp_path: Path) -> None:
    """It may never end; no server of Redis or Valkey asks for one, and TLS 1.3 knows none."""
    with Server(REDIS_7) as server, server.client() as db:
        fill(db, key, 3_000)
        with (
            changing_keys("renegotiate", server, tmp_path) as url,
            pytest.raises(redcol.RedcolError, match=r"handshake|closed|reset|renegotiation"),
        ):
            redcol.read_stream(url, key, schema=SCHEMA)


# Lost connections.


class TLSProxy(Proxy):
    """Cuts what goes through it, and knows nothing of TLS."""

    def __init__(self, server: TLSServer):
        super().__init__(server.socket_path)
        self.tls_port = server.tls_port
        self.tls_url = tls_url(self.listener.getsockname()[1])

    @contextlib.contextmanager
    def to_server(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.tls_port)) as server:
            yield server

    def last(self) -> Link:
        """The connection that was made last."""
        return self.links[-1][1]

    def cut_last(self, after: int) -> None:
        """Cut the connection that was made last, after so many more bytes of answers."""
        self.last().faults, self.last().left = cut(after), after

    def cut_next(self, after: int) -> None:
        """Lose the connection that was made last, and cut the next one after so many bytes."""
        with contextlib.suppress(OSError):
            self.last().client.shutdown(socket.SHUT_RDWR)
        self.begin(lambda number: cut(after) if number == 0 else Faults())


def cut(after: int) -> Faults:
    return Faults(end_after=after, end="reset" if after % 3 == 0 else "close")


@pytest.fixture
def proxy(tls: TLSServer) -> Iterator[TLSProxy]:
    with TLSProxy(tls) as started:
        yield started


#: So few that an answer can be cut after each of its bytes.
ENTRIES = 30 if IS_WHOLE else 4


def test_handshakes_that_are_cut(proxy: TLSProxy) -> None:
    """A lost connection is no wrong certificate: a caller may try again."""
    redcol.connect(proxy.tls_url).close()
    length = proxy.last().forwarded
    assert length > 1_000
    causes = []
    for after in range(length + 1):
        proxy.begin(lambda _, after=after: Faults(end_after=after))
        try:
            redcol.connect(proxy.tls_url, connect_timeout_ms=30_000).close()
        except redcol.ConnectionFailedError as error:
            causes.append(type(error))
    assert len(causes) > 1_000
    assert set(causes) == {redcol.ConnectionFailedError}


def test_connections_that_are_cut_while_they_are_made_again(
    tls: TLSServer, proxy: TLSProxy, key: str
) -> None:
    """The handshake resumes a session; then come the login and the answer."""
    with tls.client() as db:
        fill(db, key, ENTRIES)
    with redcol.connect(proxy.tls_url) as client:

        def read(after: int) -> int:
            proxy.cut_next(after)
            assert is_whole(redcol.read_stream(client, key, schema=SCHEMA), ENTRIES), after
            return proxy.last().forwarded

        length = read(1 << 20)
        assert length > 500
        for after in range(length + 1):
            read(after)
            assert proxy.accepted == 2 or after > 500, after


@pytest.mark.parametrize("how", ["group", "tail"])
def test_answers_that_are_cut(tls: TLSServer, proxy: TLSProxy, key: str, how: str) -> None:
    options = {"schema": SCHEMA, "block_ms": 20, "count": ENTRIES, "batch_size": 3}

    def read(after: int) -> int:
        group = {"group": f"g{after}", "consumer": "c", "auto_ack": True} if how == "group" else {}
        with redcol.iter_stream(proxy.tls_url, key, **group, **options) as batches:
            before = proxy.last().forwarded
            proxy.cut_last(after)
            assert is_whole(pl.concat(list(batches)), ENTRIES), after
        return proxy.last().forwarded - before

    with tls.client() as db:
        fill(db, key, ENTRIES)
        length = read(1 << 20)
        assert length > 100
        for after in range(length + 1):
            read(after)
            if how == "group":
                assert db.xpending(key, f"g{after}")["pending"] == 0
                db.xgroup_destroy(key, f"g{after}")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(server: Server, db: redis.Redis, key: str, version) -> None:
    db.xadd(key, {"n": 1})
    with Relay(server.socket_path, version=version) as relay, redcol.connect(relay.url()) as client:
        # Each has a connection of its own.
        iterators = [redcol.iter_stream(client, key, block_ms=50) for _ in range(3)]
        assert all(len(next(one)) == 1 for one in iterators)
        db.client_kill_filter(_type="normal", skipme=True)
        db.xadd(key, {"n": 2})
        assert all(len(next(one)) == 1 for one in iterators)
        for one in iterators:
            one.close()
        assert relay.resumed == [False] + [True] * (len(relay.resumed) - 1)
        assert len(relay.resumed) >= 6
        # A client of its own knows no session.
        redcol.connect(relay.url()).close()
        assert relay.resumed[-1] is False


def test_a_server_that_does_not_listen(tls: TLSServer, key: str) -> None:
    """What is written waits until the socket takes more: no processor is busy meanwhile."""
    size = 20_000_000  # more than the system's buffers take
    frame = pl.DataFrame({"_key": [f"{key}:{n}" for n in range(2)], "t": ["x" * size] * 2})
    with Relay(tls.socket_path) as relay, redcol.connect(relay.url(), timeout_ms=600_000) as client:
        relay.is_deaf.set()
        capsule = frame.__arrow_c_stream__()
        writer = _native.write_hashes(client._handle, capsule, {})
        descriptor = _native.library().redcol_writer_descriptor(writer.pointer)
        calls = 0
        while True:
            assert _native.writer_run(writer, 0) == _native.TIMEOUT
            calls += 1
            assert calls < 100_000, "it is always ready to write"
            # Until the system has taken what it can take.
            if not select.select([descriptor], [], [], 1)[0]:
                break
        assert _native.writer_statistic(writer, "written") == 0
        relay.is_deaf.clear()
        while _native.writer_run(writer, -1) != _native.OK:
            pass
        writer.free()
    with tls.client() as db:
        assert {db.hstrlen(name, "t") for name in frame["_key"]} == {size}
        db.delete(*frame["_key"])


# Signals and processes.


def test_ctrl_c_during_the_handshake() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        start(PROGRAM, tls_url(listener.getsockname()[1])) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1) == b"\x16"
            interrupt(process)


def test_ctrl_c_during_a_read() -> None:
    asked = threading.Event()

    def answer(command: list[bytes]) -> bytes | None:
        if command[0] == b"XRANGE":
            asked.set()
            return None
        return b"+OK\r\n"

    with (
        FakeServer(answer) as fake,
        Relay(fake.folder / "s") as relay,
        start(PROGRAM, relay.url()) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert asked.wait(30)
        interrupt(process)


def interrupt(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    assert process.stdout.readline() == "0\n"


FORKING = """
import os, sys, redcol
client = redcol.connect(sys.argv[1])
batches = redcol.iter_stream(client, "s", block_ms=50)
assert len(next(batches)) == 1
pid = os.fork()
if pid == 0:
    try:
        next(batches)
    except redcol.ForkedError:
        batches.close()
        client.close()
        del batches, client
        redcol.connect(sys.argv[1]).close()
        os._exit(7)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
for number in range(3):
    assert redcol.write_stream(client, __import__("polars").DataFrame({"n": [number]}), "s").len()
    assert len(next(batches)) == 1
assert batches.stats.reconnects == 0
batches.close()
client.close()
"""


def test_a_child_does_not_disturb_its_parent(server: Server, db: redis.Redis) -> None:
    db.delete("s")
    db.xadd("s", {"n": 0})
    with Relay(server.socket_path) as relay:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", FORKING, relay.url()]
        subprocess.run(command, check=True, env=environment, timeout=60)
        # The child's own, and those of the parent.
        assert relay.resumed.count(False) == 2
    db.delete("s")


def test_three_hundred_at_once(tls: TLSServer, key: str) -> None:
    async def main() -> None:
        iterators = [
            redcol.stream_batches(
                tls.url, key, group=f"g{n % 3}", consumer=f"c{n}", schema=SCHEMA, batch_size=1
            )
            for n in range(300)
        ]

        async def follow(batches: redcol.AsyncStreamIterator) -> int:
            async with batches:
                frame = await anext(batches)
                await batches.ack(frame)
                return int(frame["n"].sum())

        reading = [asyncio.create_task(follow(batches)) for batches in iterators]
        with tls.client() as db:
            while int(db.info("clients")["blocked_clients"]) < 300:
                await asyncio.sleep(0.05)
            for number in range(100):
                db.xadd(key, {"n": number})
                await asyncio.sleep(0)
            sums = [await one for one in reading]
            assert sum(sums) == 3 * sum(range(100))
            assert all(db.xpending(key, f"g{n}")["pending"] == 0 for n in range(3))
            db.delete(key)

    asyncio.run(asyncio.wait_for(main(), 900))


def test_many_threads(tls: TLSServer, many: str) -> None:
    wrong: list[object] = []

    def read(client: redcol.Client) -> None:
        for _ in range(3):
            if not is_whole(redcol.read_stream(client, many, schema=SCHEMA), 20_000):
                wrong.append(client)

    with redcol.connect(tls.url) as client:
        threads = [threading.Thread(target=read, args=(client,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_the_hosts_own_tls_goes_on(tls: TLSServer, key: str) -> None:
    """Python's connections and ours, in one thread, do not take each other's errors."""
    context = ssl.create_default_context(cafile=files().authority.file)
    with redcol.connect(tls.url) as client:
        for _ in range(3):
            raw = socket.create_connection(("127.0.0.1", tls.tls_port))
            with context.wrap_socket(raw, server_hostname="localhost") as theirs:
                theirs.sendall(b"PING\r\n")
                with pytest.raises(redcol.TLSError):
                    redcol.connect(tls.tls_url(f"ssl_ca_certs={files().other_authority.file}"))
                assert theirs.recv(16) == b"+PONG\r\n"
            raw = socket.create_connection(("127.0.0.1", tls.tls_port))
            trusting_nobody = ssl.create_default_context(cafile=files().other_authority.file)
            with raw, pytest.raises(ssl.SSLError):
                trusting_nobody.wrap_socket(raw, server_hostname="localhost")
            assert redcol.read_stream(client, key).height == 0


def test_groups_resume_where_they_were(tls: TLSServer, key: str) -> None:
    with tls.client() as db:
        fill(db, key, 50)
        with redcol.iter_stream(tls.url, key, schema=SCHEMA, batch_size=10, **GROUP) as batches:
            first = next(batches)
            db.client_kill_filter(_type="normal", skipme=True)
            rest = [next(batches) for _ in range(4)]
            assert is_whole(pl.concat([first, *rest]), 50)
            assert batches.stats.reconnects == 1
