# SPDX-License-Identifier: Apache-2.0
"""States of a server that pass by themselves: readers and writers wait for their end."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add, pending
from servers import REDIS_7, FakeServer, Server, free_port

#: A state of 0.3 seconds may last far longer on a busy machine.
BUSY_MACHINE_MS = 60_000

#: Rows that a server takes in one piece. When a state ends in the middle of them, the entries that
#: it has refused cannot be added any more after the others, and the hashes that it has written are
#: there when they are written again: that is an error.
IN_ONE_PIECE = 100

#: A state: how it begins, and how it ends.
State = tuple[Callable[[Server, redis.Redis], None], Callable[[Server, redis.Redis], None]]


def read_only(_: Server, db: redis.Redis) -> None:
    db.execute_command("REPLICAOF", "127.0.0.1", free_port())


def primary(_: Server, db: redis.Redis) -> None:
    db.execute_command("REPLICAOF", "NO", "ONE")


def lonely_replica(server: Server, db: redis.Redis) -> None:
    db.config_set("replica-serve-stale-data", "no")
    read_only(server, db)


def too_few_replicas(_: Server, db: redis.Redis) -> None:
    db.config_set("min-replicas-to-write", 1)


def enough_replicas(_: Server, db: redis.Redis) -> None:
    db.config_set("min-replicas-to-write", 0)


def cannot_save(server: Server, db: redis.Redis) -> None:
    db.config_set("save", "3600 1")
    gone = server.folder / "gone"
    gone.mkdir()
    db.config_set("dir", str(gone))
    gone.rmdir()
    with contextlib.suppress(redis.ResponseError):
        db.bgsave()
    while db.info("persistence")["rdb_last_bgsave_status"] != "err":
        time.sleep(0.01)


def saves_nothing(_: Server, db: redis.Redis) -> None:
    db.config_set("save", "")


def full(_: Server, db: redis.Redis) -> None:
    db.config_set("maxclients", 1)


def roomy(_: Server, db: redis.Redis) -> None:
    db.config_set("maxclients", 1000)


#: `cannot_save` changes a folder.
ARGS = ("--enable-protected-configs", "yes")

STATES: dict[str, State] = {
    "READONLY": (read_only, primary),
    "MASTERDOWN": (lonely_replica, primary),
    "NOREPLICAS": (too_few_replicas, enough_replicas),
    "MISCONF": (cannot_save, saves_nothing),
    "max number of clients": (full, roomy),
}


@contextlib.contextmanager
def busy(server: Server) -> Iterator[None]:
    """A script runs, and the server refuses everything else."""
    with server.client() as db, server.client() as other:
        db.config_set("lua-time-limit", 1)
        ended = threading.Event()

        def run() -> None:
            with contextlib.suppress(redis.ResponseError):
                other.eval("while true do end", 0)
            ended.set()

        threading.Thread(target=run).start()
        while True:
            try:
                db.ping()
                time.sleep(0.005)
            except redis.exceptions.BusyLoadingError:
                break
            except redis.ResponseError:
                break
        try:
            yield
        finally:
            while not ended.wait(0.01):
                with contextlib.suppress(redis.ResponseError):
                    db.script_kill()


class Taking:
    """The next rows of an iterator, taken on a thread."""

    def __init__(self, batches: redcol.StreamIterator, count: int):
        self.rows: list[int] = []
        self.error: BaseException | None = None

        def take() -> None:
            try:
                while len(self.rows) < count:
                    self.rows += next(batches)["n"].to_list()
            except BaseException as error:
                self.error = error

        self.thread = threading.Thread(target=take)
        self.thread.start()

    def result(self) -> list[int]:
        self.thread.join(60)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.rows


def until_refused(batches: redcol.StreamIterator, taking: Taking, word: str) -> None:
    deadline = time.monotonic() + 60
    while word not in str(batches.last_error):
        assert taking.error is None, taking.error
        assert time.monotonic() < deadline, batches.last_error
        time.sleep(0.002)


@pytest.mark.parametrize("word", STATES)
def test_an_iterator_outlasts_it(word: str) -> None:
    begins, ends = STATES[word]
    # A replica tells members first that they may not write.
    group = {} if word == "MASTERDOWN" else GROUP | {"auto_ack": True}
    with Server(REDIS_7, args=ARGS) as server, server.client() as db:
        add(db, "s", range(3))
        with redcol.iter_stream(server.url, "s", **group, schema=SCHEMA) as batches:
            assert next(batches)["n"].to_list() == [0, 1, 2]
            begins(server, db)
            if word == "max number of clients":
                db.client_kill_filter(_type="normal", skipme=True)
            taking = Taking(batches, 2)
            until_refused(batches, taking, word)
            ends(server, db)
            add(db, "s", [3, 4])
            assert taking.result() == [3, 4]
        if group:
            assert pending(db, "s") == []


@pytest.mark.parametrize("group", [{}, GROUP], ids=["alone", "group"])
def test_a_script_that_runs_for_long(group: dict[str, str]) -> None:
    with Server(REDIS_7) as server, server.client() as db:
        add(db, "s", range(2))
        with redcol.iter_stream(server.url, "s", **group, schema=SCHEMA) as batches:
            assert next(batches)["n"].to_list() == [0, 1]
            with busy(server):
                taking = Taking(batches, 1)
                until_refused(batches, taking, "BUSY")
            add(db, "s", [2])
            assert taking.result() == [2]


@pytest.mark.parametrize("word", ["READONLY", "NOREPLICAS", "MISCONF"])
@pytest.mark.parametrize("kind", ["entries", "hashes", "new hashes"])
def test_a_writer_outlasts_it(word: str, kind: str) -> None:
    begins, ends = STATES[word]
    rows = 500 if kind == "hashes" else IN_ONE_PIECE
    frame = pl.DataFrame({"_key": [f"k{n}" for n in range(rows)], "n": range(rows)})
    with (
        Server(REDIS_7, args=ARGS) as server,
        server.client() as db,
        redcol.connect(server.url, timeout_ms=BUSY_MACHINE_MS) as client,
    ):
        begins(server, db)
        timer = threading.Timer(0.3, ends, (server, db))
        timer.start()
        if kind == "entries":
            ids = redcol.write_stream(client, frame.drop("_key"), "s")
            assert [entry.decode() for entry, _ in db.xrange("s")] == list(ids)
            assert [int(fields[b"n"]) for _, fields in db.xrange("s")] == list(range(rows))
        else:
            mode = "replace" if kind == "hashes" else "fail"
            assert redcol.write_hashes(client, frame, if_exists=mode) == rows
            assert db.dbsize() == rows
        timer.join()


def test_a_subscription_and_its_publisher_outlast_a_script() -> None:
    """The server answers nobody else meanwhile. Nothing is lost, nothing comes twice."""
    frame = pl.DataFrame({"n": range(IN_ONE_PIECE)})
    with (
        Server(REDIS_7) as server,
        redcol.connect(server.url, timeout_ms=BUSY_MACHINE_MS) as client,
        redcol.iter_pubsub(client, "c", schema=frame.schema, batch_timeout_ms=0) as messages,
    ):
        with contextlib.ExitStack() as stack:
            stack.enter_context(busy(server))
            threading.Timer(0.3, stack.close).start()
            assert redcol.publish(client, frame, "c") == IN_ONE_PIECE
        found: list[int] = []
        while len(found) < IN_ONE_PIECE:
            found += next(messages)["n"].to_list()
        assert found == list(range(IN_ONE_PIECE))
        assert messages.stats.gaps == 0


def test_a_writer_outlasts_a_script() -> None:
    frame = pl.DataFrame({"n": range(IN_ONE_PIECE)})
    with (
        Server(REDIS_7) as server,
        server.client() as db,
        redcol.connect(server.url, timeout_ms=BUSY_MACHINE_MS) as client,
    ):
        with contextlib.ExitStack() as stack:
            stack.enter_context(busy(server))
            threading.Timer(0.3, stack.close).start()
            redcol.write_stream(client, frame, "s")
        assert [int(fields[b"n"]) for _, fields in db.xrange("s")] == list(range(IN_ONE_PIECE))


def writes(answers: dict[int, bytes], frame: pl.DataFrame, **arguments: Any) -> tuple[Any, list]:
    """Write to a server that gives these answers to the n-th XADD, and an id to the others."""
    seen: list[int] = []

    def answer(command: list[bytes]) -> bytes:
        if command[0] != b"XADD":
            return b"+OK\r\n"
        seen.append(int(command[-1]))
        return answers.get(len(seen) - 1, b"$%d\r\n%d-1\r\n" % (len(str(len(seen))) + 2, len(seen)))

    with FakeServer(answer) as fake:
        try:
            return redcol.write_stream(fake.url, frame, "s", **arguments), seen
        except redcol.RedcolError as error:
            return error, seen


LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"


def test_what_was_refused_is_sent_again() -> None:
    frame = pl.DataFrame({"n": range(6)})
    ids, seen = writes(dict.fromkeys(range(3, 6), LOADING), frame)
    assert seen == [0, 1, 2, 3, 4, 5, 3, 4, 5]
    assert list(ids) == ["1-1", "2-1", "3-1", "7-1", "8-1", "9-1"]


def test_rows_come_in_order_or_not_at_all() -> None:
    """A row behind one that was refused is there: that one cannot be added any more."""
    error, seen = writes({1: LOADING, 2: LOADING}, pl.DataFrame({"n": range(5)}))
    assert seen == [0, 1, 2, 3, 4]
    assert isinstance(error, redcol.ServerLoadingError)
    assert (error.row, error.written) == (1, 3)
    assert error.ids is not None
    assert error.ids.to_list() == ["1-1", None, None, "4-1", "5-1"]


def test_a_refusal_that_lasts_is_raised() -> None:
    answers = dict.fromkeys(range(1, 100_000), LOADING)
    error, _ = writes(answers, pl.DataFrame({"n": range(3)}), timeout_ms=300)
    assert isinstance(error, redcol.ServerLoadingError)
    assert (error.row, error.written, error.unknown_rows) == (1, 1, range(1, 1))


@pytest.mark.parametrize("read", ["range", "wait", "ack", "last"])
def test_a_single_call_waits_for_timeout_ms(read: str) -> None:
    """It tries again, and tells what the last answer was when that is over."""
    asked = 0

    def answer(command: list[bytes]) -> bytes:
        nonlocal asked
        if command[0] in (b"HELLO", b"SELECT"):
            return b"+OK\r\n"
        asked += 1
        return b"-CLUSTERDOWN The cluster is down\r\n"

    def call(url: str) -> object:
        if read == "ack":
            return redcol.ack_entries(url, "s", "g", ["1-1"], timeout_ms=500)
        block = {"block_ms": 10} if read == "wait" else {}
        return redcol.read_stream(url, "s", timeout_ms=500, **block)

    with FakeServer(answer) as fake:
        with pytest.raises(redcol.ServerError, match="CLUSTERDOWN"):
            call(fake.url)
        assert asked > 2


def test_a_full_server_with_a_password(server: Server) -> None:
    """It says so in answer to AUTH: that is no wrong password."""
    full = b"-ERR max number of clients reached\r\n"
    with FakeServer(lambda _: full) as fake:
        url = fake.url.replace("unix://", "unix://:secret@")
        with pytest.raises(redcol.ServerError, match="max number of clients"):
            redcol.read_stream(url, "s", timeout_ms=200)


# The table for users.


def table() -> list[tuple[str, str]]:
    """The errors of docs/servers.md, and what redcol does about each."""
    page = Path(__file__).resolve().parents[3] / "docs/servers.md"
    section = page.read_text().split("\n## ")[1]
    lines = re.findall(r"^\| (`[^|]+) \| [^|]* \| ([^|]+) \|$", section, re.M)
    return [(word, what) for words, what in lines for word in re.findall("`([^`]+)`", words)]


def test_the_table_is_found() -> None:
    assert len(table()) > 15


@pytest.mark.parametrize(("word", "what"), [*table(), ("ERR other", "`ServerError`")])
def test_the_table_is_true(word: str, what: str) -> None:
    entry = b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nn\r\n$1\r\n7\r\n"
    asked = 0

    def answer(command: list[bytes]) -> bytes:
        nonlocal asked
        if command[0] != b"XREAD":
            return b"+OK\r\n"
        asked += 1
        return f"-{word} and more\r\n".encode() if asked < 3 else entry

    with (
        FakeServer(answer) as fake,
        redcol.iter_stream(fake.url, "s", schema=SCHEMA) as batches,
    ):
        if what == "tried again":
            assert next(batches)["n"].to_list() == [7]
            assert asked == 3
        else:
            with pytest.raises(redcol.RedcolError) as caught:
                next(batches)
            assert f"`{type(caught.value).__name__}`" in what
            assert asked == 1


# What the log says.


def test_the_log_warns_of_the_second_loss(caplog: pytest.LogCaptureFixture) -> None:
    with (
        Server(REDIS_7) as server,
        server.client() as db,
        caplog.at_level("INFO", "redcol"),
        redcol.iter_stream(server.url, "s", on_idle="empty", block_ms=10) as batches,
    ):
        assert next(batches).height == 0
        db.client_kill_filter(_type="normal", skipme=True)
        assert next(batches).height == 0
        assert {record.levelname for record in caplog.records} == {"INFO"}
        assert "trying again" in caplog.text
        server.process.kill()
        server.process.wait()
        taking = Taking(batches, 1)
        deadline = time.monotonic() + 60
        while "WARNING" not in {record.levelname for record in caplog.records}:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        batches.close()
        with contextlib.suppress(StopIteration, redcol.ClosedError):
            taking.result()
    warning = next(record for record in caplog.records if record.levelname == "WARNING")
    assert "attempts without a success" in warning.getMessage()


@pytest.mark.parametrize(
    "read",
    [
        {"if_missing": "raise"},
        {"if_missing": "raise", "last": 5},
        {"start_id": "-1h"},
        {"if_missing": "raise", "start_id": "-1h", "last": 5},
        {"if_missing": "raise", "block_ms": 50},
    ],
)
def test_what_is_asked_before_a_range_is_asked_again(read: dict[str, Any]) -> None:
    left = [LOADING, b"-CLUSTERDOWN no\r\n", LOADING, b""]

    def answer(command: list[bytes]) -> bytes:
        if command[0] in (b"EXISTS", b"TIME") and left[0]:
            return left.pop(0)
        if command[0] == b"TIME":
            return b"*2\r\n$10\r\n1700000000\r\n$1\r\n5\r\n"
        if command[0] == b"EXISTS":
            return b":1\r\n"
        entries = b"*1\r\n*2\r\n$15\r\n1699999999999-0\r\n*2\r\n$1\r\nn\r\n$1\r\n7\r\n"
        if command[0] in (b"XRANGE", b"XREVRANGE"):
            return entries
        if command[0] == b"XREAD":
            is_first = command[-1] == b"0-0"
            return b"*1\r\n*2\r\n$1\r\ns\r\n" + entries if is_first else b"*-1\r\n"
        return b"+OK\r\n"

    with FakeServer(answer) as fake:
        frame = redcol.read_stream(fake.url, "s", schema=SCHEMA, timeout_ms=BUSY_MACHINE_MS, **read)
    assert frame["n"].to_list() == [7]
    assert left == [b""]


def test_it_is_not_asked_for_ever() -> None:
    with FakeServer(lambda _: LOADING) as fake, pytest.raises(redcol.ServerLoadingError):
        redcol.read_stream(fake.url, "s", if_missing="raise", timeout_ms=300)
    # Whoever makes an iterator wants to know what is wrong.
    answers = {b"HELLO": b"+OK\r\n"}
    with (
        FakeServer(lambda command: answers.get(command[0], LOADING)) as fake,
        pytest.raises(redcol.ServerLoadingError),
    ):
        redcol.iter_stream(fake.url, "s", if_missing="raise", timeout_ms=BUSY_MACHINE_MS)
