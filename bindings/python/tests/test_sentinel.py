# SPDX-License-Identifier: Apache-2.0
"""Servers that Sentinels know: which one is asked, and what becomes of reads and writes when it
fails."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add
from sentinels import SERVICE, Node, Sentinel, Sentinels, wait_until
from servers import free_port

SECRET = "s3cr3t-of-sentinel"


# Failover, with all of it.


@pytest.fixture(scope="module")
def whole() -> Iterator[Sentinels]:
    with Sentinels() as started:
        yield started


@pytest.fixture
def sentinels(whole: Sentinels) -> Iterator[Sentinels]:
    """All is well before a test, and the stream is empty."""
    whole.repair()
    with whole.db() as db:
        db.flushall()
    yield whole
    for node in whole.nodes:
        if node.stopped:
            node.resume()


def test_groups_and_streams_are_changed_at_the_master(sentinels: Sentinels) -> None:
    with sentinels.db() as db, redcol.connect(sentinels.url) as client:
        assert redcol.create_group(client, "s", "g", create_stream=True)
        ids = add(db, "s", range(5))
        assert redcol.seek_group(client, "s", "g", "$") == ids[-1]
        assert redcol.delete_entries(client, "s", ids[:2]) == 2
        assert redcol.trim_stream(client, "s", maxlen=1, approximate=False) == 2
        assert redcol.delete_consumer(client, "s", "g", "c") == 0
        assert redcol.delete_group(client, "s", "g")
        assert db.xlen("s") == 1


class Load:
    """A writer and four readers, each in a thread, until they are stopped."""

    def __init__(self, url: str):
        self.url = url
        self.stopping = threading.Event()
        #: No more is written.
        self.enough = threading.Event()
        self.written: dict[str, int] = {}
        #: What each reader got, in its order.
        self.got: dict[str, list[tuple[str, int]]] = {"group": [], "async": [], "tail": []}
        self.latest: dict[str, float] = {}
        self.resets = 0
        self.ranges = 0
        self.errors: list[BaseException] = []
        self.readers: list[Any] = []
        self.threads = [
            threading.Thread(target=self.guarded, args=(work,))
            for work in (
                self.write,
                self.read_group,
                self.read_async,
                self.follow,
                self.read_ranges,
            )
        ]
        for thread in self.threads:
            thread.start()

    def guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except redcol.ClosedError:
            assert self.stopping.is_set()
        except BaseException as error:
            self.errors.append(error)

    def took(self, reader: str, batch: pl.DataFrame) -> None:
        self.got[reader] += zip(batch["_id"], batch["n"], strict=True)
        self.latest[reader] = time.monotonic()

    def write(self) -> None:
        number = 0
        with redcol.connect(self.url) as client:
            while not self.enough.is_set():
                frame = pl.DataFrame({"n": range(number, number + 5)})
                number += 5
                try:
                    ids = redcol.write_stream(client, frame, "s", timeout_ms=60_000)
                except (
                    redcol.ConnectionFailedError,
                    redcol.TimedOutError,
                    redcol.ServerError,
                ) as e:
                    # What had been sent is not sent again: another master may have it, or not.
                    ids = e.ids if e.ids is not None else []
                for entry_id, n in zip(ids, frame["n"], strict=False):
                    if entry_id is not None:
                        self.written[entry_id] = n
                time.sleep(0.005)

    def read_group(self) -> None:
        arguments = {**GROUP, "auto_ack": True, "block_ms": 100, "schema": SCHEMA}
        with redcol.iter_stream(self.url, "s", **arguments) as batches:
            self.readers.append(batches)
            for batch in batches:
                self.took("group", batch)

    def read_async(self) -> None:
        asyncio.run(self.read_in_a_loop())

    async def read_in_a_loop(self) -> None:
        arguments = {"group": "h", "consumer": "c", "auto_ack": True, "schema": SCHEMA}
        async with redcol.stream_batches(self.url, "s", **arguments, on_idle="empty") as batches:
            while not self.stopping.is_set():
                self.took("async", await anext(batches))

    def follow(self) -> None:
        with redcol.iter_stream(self.url, "s", block_ms=100, schema=SCHEMA) as batches:
            self.readers.append(batches)
            try:
                for batch in batches:
                    self.took("tail", batch)
            finally:
                self.resets = batches.stats.resets

    def read_ranges(self) -> None:
        with redcol.connect(self.url, timeout_ms=60_000) as client:
            while not self.stopping.is_set():
                ids = redcol.read_stream(client, "s", schema=SCHEMA)["_id"].to_list()
                assert ids == sorted(set(ids), key=in_order)
                self.ranges += 1
                time.sleep(0.05)

    def await_progress(self, reader: str) -> float:
        """Wait until it has more than now; the time when it does."""
        before = len(self.got[reader])
        wait_until(lambda: len(self.got[reader]) > before or bool(self.errors))
        assert not self.errors, self.errors
        return self.latest[reader]

    def has(self, reader: str, entries: list[tuple[str, int]]) -> bool:
        return bool(self.errors) or not set(entries) - set(self.got[reader])

    def stop(self) -> None:
        self.enough.set()
        self.stopping.set()
        for reader in self.readers:
            reader.close()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        assert not self.errors, self.errors


def in_order(entry_id: str) -> tuple[int, ...]:
    return tuple(map(int, entry_id.split("-")))


def entries(db: redis.Redis) -> list[tuple[str, int]]:
    return [(entry_id.decode(), int(fields[b"n"])) for entry_id, fields in db.xrange("s")]


def kill(sentinels: Sentinels) -> float:
    old = sentinels.master
    old.kill()
    return sentinels.await_failover(old.port)


def kill_and_bring_back(sentinels: Sentinels) -> float:
    """It comes back as a master, and the Sentinels make it a replica."""
    old = sentinels.master
    old.kill()
    named = sentinels.await_failover(old.port)
    old.restart()
    wait_until(lambda: old.info()["role"] == "slave")
    return named


def fail_over(sentinels: Sentinels) -> float:
    sentinels.fail_over()
    return time.monotonic()


def cut_off(sentinels: Sentinels) -> float:
    """It keeps its connections and says nothing. When it goes on, it still thinks it is master."""
    old = sentinels.master
    old.pause()
    return sentinels.await_failover(old.port)


@pytest.mark.parametrize(
    "accident", [kill, kill_and_bring_back, fail_over, cut_off], ids=lambda it: it.__name__
)
def test_everything_goes_on(sentinels: Sentinels, accident: Callable[[Sentinels], float]) -> None:
    load = Load(sentinels.url)
    try:
        for reader in load.got:
            load.await_progress(reader)
        began = time.monotonic()
        named = accident(sentinels)
        next_batches = {reader: load.await_progress(reader) for reader in load.got}
        ranges = load.ranges
        wait_until(lambda: load.ranges > ranges or bool(load.errors))
        load.enough.set()
        load.threads[0].join(60)  # the writer's
        assert not load.threads[0].is_alive()
        sentinels.repair()
        with sentinels.db() as db:
            there = entries(db)
            for reader in load.got:
                wait_until(lambda r=reader: load.has(r, there), reader)
    finally:
        load.stop()
    print(f"{accident.__name__}: another master was named after {named - began:.2f} s,")
    for reader, when in next_batches.items():
        print(f"  the first batch of {reader} came {when - named:.2f} s later")

    # An entry is written once, whatever became of its answer.
    assert len({n for _, n in there}) == len(there) > 0
    lost = {entry for entry in load.written.items() if entry not in set(there)}
    print(f"  {len(lost)} entries were not copied to the new master in time")
    with sentinels.db() as db:
        for group, reader in [("g", "group"), ("h", "async")]:
            state = next(g for g in db.xinfo_groups("s") if g["name"] == group.encode())
            held = db.xpending_range("s", group, "-", "+", 100_000)
            pending = {line["message_id"].decode() for line in held}
            last = in_order(state["last-delivered-id"].decode())
            for entry in there:
                entry_id = entry[0]
                is_acknowledged = in_order(entry_id) <= last and entry_id not in pending
                assert not is_acknowledged or entry in load.got[reader]
    ids = [in_order(entry_id) for entry_id, _ in load.got["tail"]]
    # Without a group nothing comes twice, unless the stream was found to have gone back.
    assert load.resets or ids == sorted(set(ids))


# One Sentinel, which is told what it has to say.


class Two:
    """Two servers, and a Sentinel that names one of them."""

    def __init__(self, stack: contextlib.ExitStack, *settings: str):
        self.first = stack.enter_context(Node(None))
        self.second = stack.enter_context(Node(self.first.port))
        self.sentinel = Sentinel(self.first.port, settings)
        stack.callback(self.sentinel.stop)
        wait_until(lambda: self.ask("PING") is not None)

    def ask(self, *command: object) -> Any:
        if command == ("PING",):
            with redis.Redis(port=self.sentinel.port) as db:
                return db.ping()
        return self.sentinel.ask(*command)

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{SERVICE}"

    def name(self, node: Node) -> None:
        """Let the Sentinel name this one, and know nothing else."""
        self.ask("REMOVE", SERVICE)
        self.ask("MONITOR", SERVICE, "127.0.0.1", node.port, 1)


@pytest.fixture
def two() -> Iterator[Two]:
    with contextlib.ExitStack() as stack:
        yield Two(stack)


def change_places(two: Two) -> None:
    """The other server becomes the master. No connection is closed, as Sentinels would do."""
    with two.first.client() as first, two.second.client() as second:
        wait_until(lambda: second.info("replication")["master_link_status"] == "up")
        written = first.info("replication")["master_repl_offset"]
        wait_until(lambda: second.info("replication")["slave_repl_offset"] >= written)
        first.config_set("replica-read-only", "no")
        second.execute_command("REPLICAOF", "NO", "ONE")
        first.execute_command("REPLICAOF", "127.0.0.1", two.second.port)
    two.name(two.second)


def test_an_idle_connection_to_what_was_the_master(two: Two) -> None:
    """It is open and takes writes, which would be lost."""
    with redcol.connect(two.url) as client:
        redcol.write_stream(client, pl.DataFrame({"n": [1]}), "s")
        change_places(two)
        redcol.write_stream(client, pl.DataFrame({"n": [2]}), "s")
        assert redcol.read_stream(client, "s", schema=SCHEMA)["n"].to_list() == [1, 2]
    with two.second.client() as db:
        assert [n for _, n in entries(db)] == [1, 2]


def test_a_sentinel_that_has_forgotten(two: Two) -> None:
    """It has named the service before, and does so again before long."""
    with redcol.connect(two.url, timeout_ms=60_000) as client:
        two.ask("REMOVE", SERVICE)
        with two.first.client() as db:
            db.client_kill_filter(_type="normal", skipme=True)
        again = ("MONITOR", SERVICE, "127.0.0.1", two.first.port, 1)
        timer = threading.Timer(0.3, two.ask, again)
        timer.start()
        assert redcol.read_stream(client, "s").is_empty()
        timer.join()


def test_a_sentinel_that_is_behind(two: Two) -> None:
    """It names a server that is a replica already: that one is not used, and it is asked again."""
    with two.first.client() as db:
        wait_until(lambda: db.info("replication")["connected_slaves"] == 1)
        add(db, "s", [1])
    two.name(two.second)
    with pytest.raises(redcol.ConnectionFailedError, match="is a replica now") as caught:
        redcol.connect(two.url)
    shown = f'redis://127.0.0.1:{two.second.port} (master of "{SERVICE}")'
    assert shown in str(caught.value)
    two.name(two.first)
    with redcol.connect(two.url, timeout_ms=30_000) as client:
        two.name(two.second)
        timer = threading.Timer(0.3, two.name, (two.first,))
        timer.start()
        two.first.client().client_kill_filter(_type="normal", skipme=True)
        assert redcol.read_stream(client, "s", schema=SCHEMA)["n"].to_list() == [1]
        timer.join()


def calls(node: Node, command: str) -> int:
    with node.client() as db:
        return db.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"]


@pytest.mark.parametrize("place", ["URL", "connect"])
def test_ranges_from_a_replica(two: Two, place: str) -> None:
    with two.first.client() as db:
        add(db, "s", range(3))
        wait_until(lambda: db.wait(1, 100) == 1)
    replica = lambda: [  # noqa: E731
        answer for answer in two.ask("REPLICAS", SERVICE) if "slave" in answer and "ok" in answer
    ]
    wait_until(lambda: bool(replica()))
    if place == "URL":
        client = redcol.connect(f"{two.url}?read_from=replica")
    else:
        client = redcol.connect(two.url, read_from="replica")
    with client:
        assert redcol.read_stream(client, "s", schema=SCHEMA)["n"].to_list() == [0, 1, 2]
        assert redcol.scan_stream(client, "s", schema=SCHEMA).collect().height == 3
        assert redcol.read_streams(client, ["s"], schema=SCHEMA).height == 3
        assert (calls(two.first, "xrange"), calls(two.second, "xrange")) == (0, 3)
        # These are of no use on a replica, or would come too late.
        arguments = {"block_ms": 10, "on_idle": "stop", "schema": SCHEMA}
        with redcol.iter_stream(client, "s", **GROUP, **arguments) as batches:
            assert sum(len(batch) for batch in batches) == 3
        with redcol.iter_stream(client, "s", **arguments) as batches:
            assert sum(len(batch) for batch in batches) == 3
        redcol.write_stream(client, pl.DataFrame({"n": [3]}), "s")
        assert calls(two.second, "xread") == calls(two.second, "xreadgroup") == 0
        # There is none that is in order any more.
        two.second.kill()
        assert redcol.read_stream(client, "s", schema=SCHEMA, timeout_ms=30_000).height == 4
        assert calls(two.first, "xrange") == 1


def test_what_cannot_be_found(two: Two) -> None:
    unknown = two.url.replace(SERVICE, "other")
    with pytest.raises(redcol.NameResolutionError) as caught:
        redcol.connect(unknown)
    assert f'redis://127.0.0.1:{two.sentinel.port} does not know "other"' in str(caught.value)
    ports = [free_port(), free_port()]
    with pytest.raises(redcol.ConnectionFailedError) as refused:
        redcol.connect(f"redis+sentinel://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}/{SERVICE}")
    for port in ports:
        assert f"redis://127.0.0.1:{port}: Connection refused" in str(refused.value)
    # A server that is no Sentinel.
    with pytest.raises(redcol.ServerError, match="SENTINEL"):
        redcol.connect(f"redis+sentinel://127.0.0.1:{two.first.port}/{SERVICE}")
    # A Sentinel that is taken for a server.
    with pytest.raises(redcol.UnsupportedError) as caught_hint:
        redcol.connect(f"redis://127.0.0.1:{two.sentinel.port}")
    assert f"use redis+sentinel://127.0.0.1:{two.sentinel.port}/" in str(caught_hint.value)
    # A master that nobody reaches.
    two.first.kill()
    with pytest.raises(redcol.ConnectionFailedError) as down:
        redcol.connect(two.url)
    assert f'redis://127.0.0.1:{two.first.port} (master of "{SERVICE}")' in str(down.value)


def test_a_password_of_the_sentinels(tmp_path: object) -> None:
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(Node(None))
        sentinel = Sentinel(
            node.port, (f"user asker on >{SECRET} allcommands allchannels", "user default off")
        )
        stack.callback(sentinel.stop)
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/{SERVICE}"
        login = {"sentinel_username": "asker", "sentinel_password": SECRET}
        wait_until(lambda: bool(redcol.connect(url, **login).close() or True))
        query = f"?sentinel_username=asker&sentinel_password={SECRET}"
        assert redcol.read_stream(url + query, "s").is_empty()
        with redcol.connect(url, **login) as client:
            assert repr(client) == f"<redcol.Client {url}>"
        for wrong, advice in (
            ({}, "give sentinel_password"),
            ({**login, "sentinel_password": "wrong" + SECRET}, "check sentinel_username"),
        ):
            with pytest.raises(redcol.AuthenticationError, match=advice) as caught:
                redcol.connect(url, **wrong)
            assert SECRET not in str(caught.value)
    for name in ("sentinel_username", "sentinel_password", "read_from"):
        with pytest.raises(redcol.InvalidArgumentError, match=f"{name} must be a str"):
            redcol.connect(url, **{name: 1})


def test_credentials_that_are_fetched_for_the_master(two: Two, tmp_path: Path) -> None:
    """Whichever server that is. The Sentinel is asked without them."""
    for node in (two.first, two.second):
        with node.client() as db:
            db.execute_command("ACL", "SETUSER", "app", "on", f">{SECRET}", "~*", "+@all")
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    asked: list[bool] = []

    def credentials() -> tuple[str, str]:
        asked.append(True)
        return "app", SECRET

    with (
        redcol.connect(two.url, credentials=credentials) as client,
        redcol.connect(two.url.replace("://", "://app@"), password_file=file) as other,
    ):
        assert len(asked) == 1
        change_places(two)
        for one in (client, other):
            redcol.write_stream(one, pl.DataFrame({"n": [1]}), "s")
        assert len(asked) == 2
        assert {one["user"] for one in two.second.client().client_list(_type="normal")} == {
            "app",
            "default",
        }


@contextlib.contextmanager
def nobody() -> Iterator[tuple[int, list[socket.socket]]]:
    """Something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield listener.getsockname()[1], taken
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in taken:
                one.close()


def test_a_sentinel_that_says_nothing(two: Two) -> None:
    """It leaves time for the next one, which is then asked first."""
    with nobody() as (port, taken):
        hosts = f"127.0.0.1:{port},127.0.0.1:{two.sentinel.port}"
        url = f"redis+sentinel://{hosts}/{SERVICE}"
        with redcol.connect(url, connect_timeout_ms=8_000) as client:
            assert len(taken) == 1
            for _ in range(3):
                two.first.client().client_kill_filter(_type="normal", skipme=True)
                assert redcol.read_stream(client, "s").is_empty()
            assert len(taken) == 1
        with pytest.raises(redcol.ConnectionFailedError, match="no answer"):
            redcol.connect(f"redis+sentinel://127.0.0.1:{port}/{SERVICE}", connect_timeout_ms=300)


def test_closing_while_a_sentinel_is_asked() -> None:
    with nobody() as (port, taken):
        url = f"redis+sentinel://127.0.0.1:{port}/{SERVICE}"

        async def close() -> None:
            batches = redcol.stream_batches(url, "s", connect_timeout_ms=600_000)
            reading = asyncio.create_task(anext(batches))
            while not taken:
                await asyncio.sleep(0.005)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            batches.close()

        asyncio.run(close())
