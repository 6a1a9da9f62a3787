# SPDX-License-Identifier: Apache-2.0
"""A large range is read from the primary and its replicas at once: the rows are those of one."""

from __future__ import annotations

import contextlib
import itertools
import select
import signal
import time
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
import reads

import redcol
from clusters import Cluster
from grouping import SCHEMA
from redcol import _native
from redcol._capsule import Batch
from sentinels import Sentinels, wait_until
from servers import REDIS_7, VALKEY_9, Server

ENTRIES = 60_000
_numbers = itertools.count()


class Copies:
    """A primary and its replicas, and a stream that all of them have."""

    def __init__(self, whole: Cluster | Sentinels) -> None:
        self.whole = whole
        whole.repair()
        self.primary: Any
        self.replicas: list[Any]
        if isinstance(whole, Cluster):
            # A client that begins at one of the copies stays there: begin at another node.
            self.primary, self.replicas = None, whole.nodes
            while whole.primaries[0] in (self.primary, *self.replicas):
                self.key = f"shared-{next(_numbers)}"
                self.primary = whole.owner(self.key)
                self.replicas = [node for node in whole.nodes if self.follows(node)]
        else:
            self.key = f"shared-{next(_numbers)}"
            self.primary, self.replicas = whole.master, whole.replicas
        self.nodes = [self.primary, *self.replicas]
        self.ids: list[str] = []
        self.add(ENTRIES)
        if isinstance(whole, Cluster):
            names = [node.id for node in self.replicas]
            wait_until(
                lambda: all(
                    name in str(node.ask("CLUSTER", "SLOTS"))
                    for name in names
                    for node in whole.nodes
                ),
                "the nodes name the replicas",
            )

    def follows(self, node: Any) -> bool:
        return bool(node.ask("INFO", "replication").get("master_port") == self.primary.port)

    def add(self, count: int, *, wait: bool = True) -> None:
        """More entries: those of a millisecond, and single ones after a gap, in turn."""
        rows = range(len(self.ids), len(self.ids) + count)
        for row in rows:
            sequence = row % 1_000
            since = sequence if row % 7_000 > 3_000 else 1
            self.ids.append(f"{row // 1_000 * 1_000 + since}-{sequence + 1}")
        frame = pl.DataFrame({"_id": self.ids[rows.start :], "n": list(rows)})
        redcol.write_stream(self.whole.url, frame, self.key, id_column="_id")
        if wait:
            copies = len(self.replicas)
            with self.primary.client() as db:
                wait_until(lambda: db.execute_command("WAIT", copies, 1000) == copies)

    def calls(self) -> list[int]:
        """How often each node was asked for a range."""
        counts = []
        for node in self.nodes:
            with node.client() as db:
                stats = db.info("commandstats").get("cmdstat_xrange", {"calls": 0})
                counts.append(int(stats["calls"]))
        return counts

    def connect(self, **arguments: Any) -> redcol.Client:
        return redcol.connect(self.whole.url, read_from="any", **arguments)

    def read(self, client: redcol.Client, **arguments: Any) -> list[str]:
        return redcol.read_stream(client, self.key, schema=SCHEMA, **arguments)["_id"].to_list()

    def batches(self, client: redcol.Client) -> Iterator[list[str]]:
        """Rows of a read in progress."""
        options = {"batch_rows": "1000"}
        for batch in reads.batches(client._handle, self.key, options=options):
            yield pl.DataFrame(batch)["_id"].to_list()


@pytest.fixture(scope="module", params=["r7", "v9", "sentinels"])
def whole(request: pytest.FixtureRequest) -> Iterator[Cluster | Sentinels]:
    if request.param == "sentinels":
        with Sentinels() as started:
            yield started
    else:
        binary = REDIS_7 if request.param == "r7" else VALKEY_9
        with Cluster(binary, replicas=1) as cluster:
            yield cluster


@pytest.fixture
def copies(whole: Cluster | Sentinels) -> Copies:
    return Copies(whole)


def test_all_servers_share_the_work(copies: Copies) -> None:
    before = copies.calls()
    with copies.connect() as client:
        for _ in range(3):
            assert copies.read(client) == copies.ids
            assert copies.read(client, start_id="10000", count=40_000) == copies.ids[10_000:50_000]
            end_id = copies.ids[45_000]
            assert copies.read(client, end_id=end_id) == copies.ids[:45_001]
            frame = redcol.scan_stream(client, copies.key, schema=SCHEMA).collect()
            assert frame["_id"].to_list() == copies.ids
    asked = [now - then for now, then in zip(copies.calls(), before, strict=True)]
    # About 800 pages; a server that is slow is asked for fewer of them.
    assert min(asked) >= 50, asked


def test_a_small_range_is_read_from_one_server(copies: Copies) -> None:
    with copies.connect() as client:
        for _ in range(3):
            before = copies.calls()
            assert copies.read(client, count=3_000) == copies.ids[:3_000]
            assert copies.read(client, start_id=copies.ids[-2_000]) == copies.ids[-2_000:]
            asked = [now - then for now, then in zip(copies.calls(), before, strict=True)]
            assert sum(count > 0 for count in asked) <= 2, asked


def test_a_replica_that_is_behind(copies: Copies) -> None:
    """What it lacks comes from the primary, and nothing is missing in between."""
    with contextlib.ExitStack() as stack:
        behind = stack.enter_context(copies.replicas[0].client(single_connection_client=True))
        if isinstance(copies.whole, Cluster):
            behind.execute_command("READONLY")
        behind.execute_command("CLIENT", "PAUSE", 600_000, "WRITE")
        stack.callback(behind.execute_command, "CLIENT", "UNPAUSE")
        copies.add(20_000, wait=False)
        with copies.primary.client() as db:
            others = len(copies.replicas) - 1
            wait_until(lambda: db.execute_command("WAIT", others, 1000) >= others)
        assert behind.xlen(copies.key) < len(copies.ids)
        for _ in range(6):
            with copies.connect() as client:
                assert copies.read(client) == copies.ids
                assert copies.read(client, end_id="9999999999999") == copies.ids


@pytest.mark.parametrize("is_first", [True, False], ids=["asked first", "helps"])
@pytest.mark.parametrize("accident", ["killed", "silent"])
@pytest.mark.parametrize("role", ["primary", "replica"])
def test_a_server_that_is_lost_in_the_middle(
    copies: Copies, role: str, accident: str, is_first: bool
) -> None:
    """The others go on."""
    node = copies.primary if role == "primary" else copies.replicas[0]
    place = copies.nodes.index(node)
    # On a busy machine all of them may be asked before the first batch is here, again and again:
    # then the accident comes all the same.
    enough = time.monotonic() + 10
    while True:
        before = copies.calls()
        # A server that lives has seconds to answer, also on a busy machine.
        with copies.connect(timeout_ms=4_000, connect_timeout_ms=4_000) as client:
            batches = copies.batches(client)
            found = next(batches)
            is_asked = copies.calls()[place] > before[place]
            if is_asked is not is_first and time.monotonic() < enough:
                continue
            found += [row for _ in range(25) for row in next(batches)]
            if copies.calls()[place] == before[place] and time.monotonic() < enough:
                continue
            if accident == "silent":
                node.pause()
            else:
                node.kill()
            assert found + [row for batch in batches for row in batch] == copies.ids
            return


def test_a_server_that_is_silent_from_the_beginning(copies: Copies) -> None:
    """It takes the connection, and says nothing: another one is asked."""
    with contextlib.ExitStack() as stack:
        # Each begins at one of the servers, by chance.
        clients = [
            stack.enter_context(copies.connect(timeout_ms=1_000, connect_timeout_ms=1_000))
            for _ in range(6)
        ]
        for client in clients:
            copies.read(client, count=1)
        copies.replicas[0].pause()
        for client in clients:
            assert copies.read(client) == copies.ids


def test_all_servers_are_silent(copies: Copies) -> None:
    """That is an error, and not a wait without end."""
    with copies.connect(timeout_ms=500, connect_timeout_ms=500) as client:
        batches = copies.batches(client)
        for _ in range(26):
            next(batches)
        for node in copies.nodes:
            node.pause()
        with pytest.raises((redcol.TimedOutError, redcol.ConnectionFailedError)):
            list(batches)


def test_signals(copies: Copies) -> None:
    """Each interrupts a wait, and the read goes on where it was."""
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1

    before = signal.signal(signal.SIGALRM, count)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    try:
        with copies.connect() as client:
            for _ in range(5):
                assert copies.read(client) == copies.ids
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert seen > 0


def test_a_caller_that_waits_elsewhere(copies: Copies) -> None:
    """One descriptor tells of all servers, whichever is to answer next."""
    before = copies.calls()
    with copies.connect() as client:
        for _ in range(20):
            asked = reads.request(copies.key, options={"batch_rows": "5000"})
            reading = _native.read_streams(
                client._handle, asked.streams, asked.schema_capsule(), asked.options
            )
            descriptor = _native.iter_descriptor(reading)
            found: list[str] = []
            while (status := _native.iter_next(reading, 0, slot := _native.Slot())) != _native.END:
                if status == _native.OK:
                    found += pl.DataFrame(Batch(slot))["_id"].to_list()
                else:
                    assert select.select([descriptor], [], [], 60)[0], "nothing comes"
            reading.free()
            assert found == copies.ids
            if all(now > then for now, then in zip(copies.calls(), before, strict=True)):
                return
    pytest.fail("one of them was never asked")


def test_a_single_server_is_read_as_before(server: Server, key: str) -> None:
    with server.client() as db, db.pipeline(transaction=False) as pipeline:
        for number in range(20_000):
            pipeline.xadd(key, {"n": number})
        pipeline.execute()
    with redcol.connect(server.url, read_from="any") as client:
        frame = redcol.read_stream(client, key, schema=SCHEMA)
    assert frame["n"].to_list() == list(range(20_000))
