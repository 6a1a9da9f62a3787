# SPDX-License-Identifier: Apache-2.0
"""Slots go back and forth between the nodes of a cluster, as an administrator moves them, while
streams of all nodes are read and written: what was written is read, each entry once."""

from __future__ import annotations

import itertools
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from redis.crc import key_slot

import redcol
from cases import IS_WHOLE, new_seed
from clusters import Cluster, Node
from sentinels import wait_until
from servers import SERVERS

SCHEMA = {"n": pl.Int64}
#: So many slots are moved at once, the first ones of all.
MOVED = 12
#: How often they are moved there and back.
ROUNDS = 50 if IS_WHOLE else 5


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        yield started


def reshard(source: Node, target: Node) -> None:
    """The first slots of one node go to another one."""
    command = ["redis-cli", "--cluster", "reshard", f"127.0.0.1:{source.port}"]
    command += ["--cluster-from", source.id, "--cluster-to", target.id]
    command += ["--cluster-slots", str(MOVED), "--cluster-yes"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr


def keys_that_move(count: int) -> list[str]:
    names = (f"moving:{number}" for number in itertools.count())
    return list(
        itertools.islice((name for name in names if key_slot(name.encode()) < MOVED), count)
    )


class Actor(threading.Thread):
    """Does something until it is told that it is enough; an error is kept."""

    def __init__(self, work: Any):
        super().__init__(daemon=True)
        self.work = work
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.work()
        except redcol.ClosedError:
            pass
        except BaseException as error:
            self.error = error


class Books:
    """What was written and what was read, by whom."""

    def __init__(self, cluster: Cluster, seed: int):
        self.rng = random.Random(seed)
        self.cluster = cluster
        moving = keys_that_move(4)
        staying = [cluster.key_at(node, f"staying-{node.port}") for node in cluster.primaries]
        self.streams = moving + staying
        self.written: list[tuple[str, str, int]] = []
        self.read: dict[str, list[tuple[str, str, int]]] = {"tail": [], "group": []}
        self.frames = 0
        self.enough = threading.Event()
        self.number = 0

    def write(self) -> None:
        with redcol.connect(self.cluster.url, timeout_ms=60_000) as client:
            while not self.enough.is_set():
                to = [self.rng.choice(self.streams) for _ in range(self.rng.randint(1, 60))]
                numbers = range(self.number, self.number + len(to))
                self.number += len(to)
                frame = pl.DataFrame({"to": to, "n": numbers})
                ids = redcol.write_stream(client, frame, stream_column="to")
                self.written += zip(to, ids, numbers, strict=True)
                time.sleep(0.002)

    def follow(self, name: str, batches: Any) -> None:
        for frame in batches:
            self.read[name] += frame.select("_stream", "_id", "n").rows()

    def read_ranges(self) -> None:
        """No range loses what it had."""
        before: dict[str, list[int]] = {}
        with redcol.connect(self.cluster.url, timeout_ms=60_000) as client:
            while not self.enough.is_set():
                frame = redcol.read_streams(client, self.streams, schema=SCHEMA)
                for stream in self.streams:
                    numbers = frame.filter(pl.col("_key") == stream)["n"].to_list()
                    had = before.get(stream, [])
                    assert numbers[: len(had)] == had, f"{stream} is shorter than it was"
                    before[stream] = numbers
                self.frames += 1
                time.sleep(0.05)

    def of(self, rows: list[tuple[str, str, int]], stream: str) -> list[tuple[str, str, int]]:
        return [row for row in rows if row[0] == stream]

    def check(self) -> None:
        for stream in self.streams:
            written = self.of(self.written, stream)
            for name, rows in self.read.items():
                assert self.of(rows, stream) == written, f"{stream}, {name}"
            with self.cluster.db(stream) as db:
                there = [(stream, key.decode(), int(row[b"n"])) for key, row in db.xrange(stream)]
                assert there == written, stream
                assert db.xpending(stream, "g")["pending"] == 0


def test_slots_that_are_moved_back_and_forth(cluster: Cluster) -> None:
    source, target = cluster.primaries[:2]
    books = Books(cluster, new_seed())
    waits = {"block_ms": 1_000, "schema": SCHEMA, "batch_size": 50}
    url, streams = cluster.url, books.streams
    tail = redcol.iter_stream(url, streams, start_id="$", **waits)
    group = redcol.iter_stream(url, streams, group="g", consumer="c", auto_ack=True, **waits)
    actors = [
        Actor(lambda: books.follow("tail", tail)),
        Actor(lambda: books.follow("group", group)),
        Actor(books.read_ranges),
        Actor(books.write),
    ]

    def failed() -> bool:
        return any(actor.error for actor in actors)

    with tail, group:
        for round_ in range(2 * ROUNDS):
            pair = (source, target) if round_ % 2 == 0 else (target, source)
            reshard(*pair)
            cluster.await_whole()
            seen, frames = len(books.read["group"]), books.frames
            wait_until(lambda n=seen: failed() or len(books.read["group"]) > n, "group goes on")
            wait_until(lambda n=frames: failed() or books.frames > n, "ranges go on")
        books.enough.set()
        for actor in actors[2:]:
            actor.join(120)
        wait_until(
            lambda: (
                failed() or all(len(rows) >= len(books.written) for rows in books.read.values())
            ),
            "all is read",
        )
        # What was handed over last is acknowledged with the next request.
        wait_until(lambda: failed() or pending(cluster, streams) == 0, "all is acknowledged")
    for actor in actors:
        actor.join(60)
        if actor.error:
            raise actor.error
    assert len(books.written) > 100
    books.check()


def pending(cluster: Cluster, streams: list[str]) -> int:
    count = 0
    for stream in streams:
        with cluster.db(stream) as db:
            count += db.xpending(stream, "g")["pending"]
    return count
