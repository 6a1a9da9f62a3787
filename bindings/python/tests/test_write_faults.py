# SPDX-License-Identifier: Apache-2.0
"""Writes that go wrong: servers that refuse, vanish or cut the line, and what is told of rows."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow
import pytest
import redis
from chaos.proxy import Faults, Proxy

import redcol
from servers import REDIS_7, FakeServer, Server, free_port, silent

ROWS = 5_000
FRAME = pl.DataFrame({"n": range(ROWS), "text": ["some text of a row"] * ROWS})
HASHES = FRAME.with_columns(_key=pl.format("k{}", "n"))


@pytest.fixture
def own() -> Iterator[Server]:
    with Server(REDIS_7) as started:
        yield started


def numbers_in(db: redis.Redis, key: str) -> list[int]:
    return [int(fields[b"n"]) for _, fields in db.xrange(key)]


def check_told(error: redcol.RedcolError, db: redis.Redis, key: str) -> None:
    """What the exception says of each row agrees with the stream."""
    assert error.ids is not None
    assert error.unknown_rows is not None
    assert error.written is not None
    assert len(error.ids) == ROWS
    told = {
        entry_id: row for row, entry_id in enumerate(error.ids.to_list()) if entry_id is not None
    }
    assert len(told) == error.written
    found = {entry_id.decode(): int(fields[b"n"]) for entry_id, fields in db.xrange(key)}
    assert told.items() <= found.items()
    others = sorted(set(found.values()) - set(told.values()))
    assert set(others) <= set(error.unknown_rows)
    assert len(found) == len(set(found.values())), "a row was written twice"


@pytest.mark.parametrize("end", ["close", "reset", "abandon"])
@pytest.mark.parametrize("after", [0, 1, 22, 23, 24, 1_000, 50_000])
def test_cut_while_entries_are_written(
    no_leaks: None, server: Server, db: redis.Redis, key: str, end: Any, after: int
) -> None:
    faults = Faults(end_after=after, since=b"XADD", end=end)
    with Proxy(server.socket_path, lambda _: faults, unix=True) as proxy:
        with pytest.raises(redcol.ConnectionFailedError) as caught:
            redcol.write_stream(proxy.url, FRAME, key, timeout_ms=400)
        assert proxy.accepted == 1
    error = caught.value
    time.sleep(0.1)  # what was sent before the end may still be on its way
    check_told(error, db, key)
    answers = [len(entry_id) + 7 for entry_id, _ in db.xrange(key)]
    whole = sum(end <= after for end in itertools.accumulate(answers))
    assert error.written == whole
    assert "it is unknown" in str(error)
    assert len(error.unknown_rows or ()) > 0


def test_cut_before_anything_was_sent(server: Server, db: redis.Redis, key: str) -> None:
    """The login is cut three times: nothing was written, so that it is done again."""
    with (
        Proxy(
            server.socket_path, lambda n: Faults(end_after=3 if n in (1, 2, 3) else None), unix=True
        ) as proxy,
        redcol.connect(proxy.url) as client,
    ):
        proxy.strike("close")
        time.sleep(0.1)
        redcol.write_stream(client, FRAME, key)
        assert proxy.accepted >= 4
    assert numbers_in(db, key) == list(range(ROWS))


@pytest.mark.parametrize("if_exists", ["replace", "append"])
def test_hashes_are_written_over_cuts(no_leaks: None, own: Server, if_exists: Any) -> None:
    plan = [Faults(end_after=after, end="reset") for after in (300, 3_000, 5, 6_000, 1, 2_000)]
    with (
        own.client() as db,
        Proxy(
            own.socket_path, lambda n: plan[n] if n < len(plan) else Faults(), unix=True
        ) as proxy,
    ):
        assert redcol.write_hashes(proxy.url, HASHES, if_exists=if_exists) == ROWS
        assert proxy.accepted > len(plan)
        assert db.dbsize() == ROWS
        for row in (0, 1, 77, ROWS - 1):
            assert db.hgetall(f"k{row}") == {
                b"n": str(row).encode(),
                b"text": b"some text of a row",
            }


def test_ids_of_rows_without_values(own: Server, key: str) -> None:
    """Answers that are taken after the connection was lost belong to the rows that have values."""
    schema = pyarrow.schema([("n", pyarrow.string())])

    def batches(db: redis.Redis) -> Iterator[Any]:
        # More than is encoded before it is sent.
        yield pyarrow.record_batch([[None, "x" * 100_000, None, "y" * 100_000]], schema=schema)
        while db.xlen(key) < 2:
            time.sleep(0.01)
        db.client_kill_filter(_type="normal", skipme=True)
        while len(db.client_list()) > 1:
            time.sleep(0.01)
        yield pyarrow.record_batch([["z" * 100_000]], schema=schema)

    with own.client() as db:
        frame = pyarrow.RecordBatchReader.from_batches(schema, batches(db))
        told = redcol.write_stream(own.url, frame, key).to_list()
        written = [entry_id.decode() for entry_id, _ in db.xrange(key)]
    assert told == [None, written[0], None, written[1], written[2]]


def test_hashes_that_a_lost_connection_may_have_written(own: Server) -> None:
    """Rows that were sent stay unknown when the connection cannot be made again."""

    def plan(number: int) -> Faults:
        return Faults(end_after=90, since=b"HSET") if number == 0 else Faults(end_after=0)

    with Proxy(own.socket_path, plan) as proxy, own.client() as db:
        with pytest.raises(redcol.ConnectionFailedError) as caught:
            redcol.write_hashes(proxy.url, HASHES, if_exists="append", timeout_ms=300)
        assert proxy.accepted > 1
        time.sleep(0.1)  # what was sent before the end may still be on its way
        found = {int(name[1:]) for name in db.keys("k*")}
    written, unknown = caught.value.written, caught.value.unknown_rows
    assert written is not None
    assert unknown is not None
    assert 0 < written < len(found)
    assert found <= {*range(written), *unknown}
    assert "it is unknown" in str(caught.value)


def test_hashes_that_must_not_exist_are_not_sent_twice(own: Server) -> None:
    faults = Faults(end_after=1_000, since=b"EVAL")
    with own.client() as db, Proxy(own.socket_path, lambda _: faults, unix=True) as proxy:
        with pytest.raises(redcol.ConnectionFailedError) as caught:
            redcol.write_hashes(proxy.url, HASHES, if_exists="fail")
        error = caught.value
        assert proxy.accepted == 1
        assert error.written == 250
        assert error.unknown_rows is not None
        assert error.unknown_rows.start == 250 < error.unknown_rows.stop
        time.sleep(0.1)
        written = {int(key[1:]) for key in db.scan_iter()}
        assert set(range(250)) <= written <= set(range(error.unknown_rows.stop))


def test_a_server_that_is_killed(server: Server, key: str) -> None:
    with Server(REDIS_7) as doomed, redcol.connect(doomed.url, timeout_ms=300) as client:
        frame = pl.DataFrame({"n": range(400_000)})
        killer = threading.Timer(0.15, doomed.process.kill)
        killer.start()
        with pytest.raises(redcol.ConnectionFailedError) as caught:
            any(redcol.write_stream(client, frame, key).is_empty() for _ in range(100))
        killer.join()
    error = caught.value
    assert error.ids is not None
    assert error.unknown_rows is not None
    known = error.unknown_rows.start
    assert error.ids[:known].null_count() == 0
    assert error.ids[known:].null_count() == 400_000 - known


def test_a_server_that_is_silent() -> None:
    answers = iter([b"+OK\r\n", b"$3\r\n1-1\r\n"])
    with FakeServer(lambda _: next(answers, None)) as fake:
        with pytest.raises(redcol.TimedOutError) as caught:
            redcol.write_stream(fake.url, FRAME[:10], "s", timeout_ms=200)
        assert caught.value.written == 1
        assert caught.value.unknown_rows == range(1, 10)


@pytest.mark.parametrize(
    "answer",
    [
        b"?",
        b":1\r\n",
        b"$-1\r\n",
        b"*1\r\n$1\r\nx\r\n",
        b"$99999999999\r\n",
        b"$3\r\n1-1xx",
        b"+OK\r\n",
    ],
)
def test_answers_that_no_server_gives(no_leaks: None, answer: bytes) -> None:
    with FakeServer(lambda words: answer if words[0] == b"XADD" else b"+OK\r\n") as fake:
        with pytest.raises(redcol.ProtocolError) as caught:
            redcol.write_stream(fake.url, FRAME[:3], "s", timeout_ms=500)
        assert caught.value.written == 0
        assert caught.value.unknown_rows == range(3)


def test_no_memory(own: Server, key: str) -> None:
    with own.client() as db:
        redcol.write_stream(own.url, FRAME[:100], key)
        db.config_set("maxmemory", db.info("memory")["used_memory"] + 400_000)
        wide = FRAME.with_columns(text=pl.lit("x" * 2_000))
        with pytest.raises(redcol.ServerError, match="OOM") as caught:
            redcol.write_stream(own.url, wide, key + "2")
        db.config_set("maxmemory", 0)
        error = caught.value
        assert (error.server_code, error.unknown_rows) == (
            "OOM",
            range(error.unknown_rows.start, error.unknown_rows.start),
        )
        assert error.written > 0
        assert error.row == error.written
        check_told(error, db, key + "2")
        db.config_set("maxmemory", 1)
        for if_exists in ("replace", "append", "fail"):
            with pytest.raises(redcol.ServerError, match="OOM") as caught:
                redcol.write_hashes(own.url, HASHES, if_exists=if_exists)
            assert (caught.value.row, caught.value.key, caught.value.written) == (0, "k0", 0)
        assert db.dbsize() == 2


def test_a_replica_that_is_read_only(own: Server) -> None:
    with own.client() as db:
        db.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(redcol.ServerError, match="READONLY") as caught:
            redcol.write_stream(own.url, FRAME, "s", timeout_ms=200)
        assert (caught.value.row, caught.value.written, caught.value.stream) == (0, 0, "s")
        for if_exists in ("replace", "append", "fail"):
            with pytest.raises(redcol.ServerError, match="READONLY"):
                redcol.write_hashes(own.url, HASHES, if_exists=if_exists, timeout_ms=200)
        assert db.dbsize() == 0


def test_keys_of_another_type(server: Server, db: redis.Redis, key: str) -> None:
    db.set(key, "text")
    with pytest.raises(redcol.WrongTypeError, match="another type") as caught:
        redcol.write_stream(server.url, FRAME, key)
    assert (caught.value.row, caught.value.stream, caught.value.written) == (0, key, 0)
    for ttl in (None, 100):
        frame = pl.DataFrame({"_key": [key + "h", key], "v": [1, 2]})
        with pytest.raises(redcol.WrongTypeError) as caught:
            redcol.write_hashes(server.url, frame, if_exists="append", ttl=ttl)
        assert (caught.value.row, caught.value.key, caught.value.written) == (1, key, 1)
        assert (db.get(key), db.ttl(key)) == (b"text", -1)


def test_one_of_many_streams_is_none(server: Server, db: redis.Redis, key: str) -> None:
    db.set(key + "-bad", "text")
    to = [key + ("-bad" if row == 10 else "-good") for row in range(ROWS)]
    with pytest.raises(redcol.WrongTypeError) as caught:
        redcol.write_stream(server.url, FRAME.with_columns(to=pl.Series(to)), stream_column="to")
    error = caught.value
    assert (error.row, error.stream) == (10, key + "-bad")
    assert error.ids is not None
    assert error.ids[10] is None
    assert error.ids[:10].null_count() == 0
    check_told(error, db, key + "-good")


def test_ids_that_do_not_increase(server: Server, db: redis.Redis, key: str) -> None:
    frame = pl.DataFrame({"at": ["5-1", "5-2", "5-2", "6-0"], "n": range(4)})
    with pytest.raises(redcol.ServerError, match="equal or smaller") as caught:
        redcol.write_stream(server.url, frame, key, id_column="at")
    error = caught.value
    assert (error.row, error.written) == (2, 3)
    assert error.ids is not None
    assert error.ids.to_list() == ["5-1", "5-2", None, "6-0"]
    assert numbers_in(db, key) == [0, 1, 3]


RIGHTS = [
    ("write_stream", "+xadd", {}),
    ("write_hashes", "+multi +exec +del +hset", {}),
    ("write_hashes", "+multi +exec +del +hset +pexpire", {"ttl": 5}),
    ("write_hashes", "+hset", {"if_exists": "append"}),
    ("write_hashes", "+eval +hset +pexpire", {"if_exists": "append", "ttl": 5}),
    ("write_hashes", "+eval +exists +hset", {"if_exists": "fail"}),
]


@pytest.mark.parametrize(("function", "rights", "arguments"), RIGHTS)
def test_rights(own: Server, function: str, rights: str, arguments: dict[str, Any]) -> None:
    """These rights are enough, and without any one of them nothing at all is written."""
    write: Any = getattr(redcol, function)
    url = own.url.replace("unix://", "unix://writer:secret@")
    if function == "write_stream":
        arguments = {"stream": "k", **arguments}
    frame = HASHES[:3] if function == "write_hashes" else FRAME[:3]
    with own.client() as db:
        for missing in rights.split():
            given = [right for right in rights.split() if right != missing]
            db.acl_setuser("writer", enabled=True, reset=True, passwords=["+secret"],
                           keys=["k*"], commands=given)  # fmt: skip
            with pytest.raises((redcol.PermissionDeniedError, redcol.ServerError)) as caught:
                write(url, frame, **arguments)
            assert (caught.value.written, db.dbsize()) == (0, 0), missing
            assert "secret" not in str(caught.value)
        db.acl_setuser("writer", enabled=True, reset=True, passwords=["+secret"],
                       keys=["k*"], commands=rights.split())  # fmt: skip
        write(url, frame, **arguments)
        assert db.dbsize() == (3 if function == "write_hashes" else 1)
        other = {"stream": "other"} if function == "write_stream" else {"key_prefix": "other:"}
        with pytest.raises((redcol.PermissionDeniedError, redcol.ServerError)):
            write(url, frame, **(arguments | other))


def test_a_node_of_a_cluster_that_has_not_the_key() -> None:
    # The port of the cluster's own talk is else 10,000 above the other, where there may be none.
    ports = ("--cluster-port", str(free_port()))
    cluster = Server(REDIS_7, tcp=True, args=("--cluster-enabled", "yes", *ports))
    with cluster as node, pytest.raises(redcol.ServerError, match="CLUSTERDOWN"):
        redcol.write_stream(node.url, FRAME, "s")
    moved = b"-MOVED 1 127.0.0.1:7001\r\n"
    with FakeServer(lambda words: moved if words[0] == b"XADD" else b"+OK\r\n") as fake:
        with pytest.raises(redcol.UnsupportedError, match="did not say that it is") as caught:
            redcol.write_stream(fake.url, FRAME[:3], "s")
        assert (caught.value.written, caught.value.row) == (0, 0)


def test_a_server_that_takes_slowly_is_not_silent(
    server: Server, db: redis.Redis, key: str, tmp_path: Path
) -> None:
    """One row takes longer to send than the server may be silent; till then nothing is answered."""
    path = str(tmp_path / "slow")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def pass_on_slowly() -> None:
            client, _ = listener.accept()
            with client, socket.socket(socket.AF_UNIX) as behind:
                behind.connect(str(server.socket_path))
                threading.Thread(target=pass_back, args=(behind, client), daemon=True).start()
                while data := client.recv(1 << 16):
                    behind.sendall(data)
                    time.sleep(0.01)

        def pass_back(behind: socket.socket, client: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := behind.recv(4096):
                    client.sendall(data)

        threading.Thread(target=pass_on_slowly, daemon=True).start()
        row = pl.DataFrame({"text": ["x" * 8_000_000]})
        ids = redcol.write_stream(f"unix://{path}", row, key, timeout_ms=500)
    assert [entry_id.decode() for entry_id, _ in db.xrange(key)] == ids.to_list()
    db.delete(key)


PROGRAM = """
import sys, polars as pl, redcol
frame = pl.DataFrame({"n": range(1000)})
print("ready", flush=True)
try:
    if sys.argv[2] == "busy":
        frame = pl.DataFrame({"n": range(20_000_000)})
    redcol.write_stream(sys.argv[1], frame, "s", timeout_ms=9000)
except KeyboardInterrupt as error:
    ids = error.ids.drop_nulls().len()
    print("interrupted", error.written, error.unknown_rows, ids, flush=True)
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def interrupt(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    line = process.stdout.readline()
    assert time.monotonic() - began < 4
    return line.strip()


def test_ctrl_c_while_the_server_is_silent() -> None:
    answer = lambda words: b"+OK\r\n" if words[0] == b"HELLO" else silent(words)  # noqa: E731
    with FakeServer(answer) as fake, start(fake.url, "silent") as process:
        while len(fake.commands) < 1001:
            time.sleep(0.01)
        assert interrupt(process) == "interrupted 0 range(0, 1000) 0"


def test_ctrl_c_while_rows_are_written(own: Server) -> None:
    with own.client() as db, start(own.url, "busy") as process:
        while db.xlen("s") == 0:
            time.sleep(0.01)
        line = interrupt(process)
        match = re.fullmatch(r"interrupted (\d+) range\((\d+), (\d+)\) (\d+)", line)
        assert match is not None, line
        written, known, unknown_end, ids = map(int, match.groups())
        # The answers to what was under way were awaited, but not for long: on a busy machine some
        # of it is unknown.
        assert 0 < written == known == ids <= db.xlen("s") <= unknown_end < 20_000_000
        entries = db.xrange("s")
        assert [int(fields[b"n"]) for _, fields in entries] == [*range(len(entries))]


def test_closing_the_client_from_another_thread() -> None:
    with FakeServer(lambda words: b"+OK\r\n" if words[0] == b"HELLO" else None) as fake:
        client = redcol.connect(fake.url)
        caught: list[BaseException] = []

        def write() -> None:
            try:
                redcol.write_stream(client, FRAME, "s")
            except BaseException as error:
                caught.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        while len(fake.commands) < 2:
            time.sleep(0.01)
        client.close()
        thread.join(5)
        assert [type(error) for error in caught] == [redcol.ClosedError]


def test_neither_side_waits_for_the_other(own: Server) -> None:
    """Answers and values far larger than what sockets hold, both ways at once."""
    rows = pl.DataFrame({"text": ["x" * 300_000] * 60})
    assert redcol.write_stream(own.url, rows, "large").null_count() == 0
    small = pl.DataFrame({"n": [1] * 300_000})
    assert redcol.write_stream(own.url, small, "small").n_unique() == 300_000
    with own.client() as db:
        assert (db.xlen("large"), db.xlen("small")) == (60, 300_000)
    huge = pl.DataFrame({"text": ["x" * 100_000_000]})
    assert redcol.write_hashes(own.url, huge.with_columns(_key=pl.lit("huge"))) == 1
