# SPDX-License-Identifier: Apache-2.0
"""A primary dies under an iterator over streams of all nodes, and its replica takes its place: what
was written is read, nothing twice but what was pending there, and the other nodes do not wait."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

import redcol
from clusters import Cluster, Node
from grouping import GROUP, SCHEMA, add
from sentinels import wait_until
from servers import REDIS_7, VALKEY_9

_numbers = itertools.count()

Row = tuple[str, str]


@pytest.fixture(scope="module", params=[REDIS_7, VALKEY_9], ids=["r7", "v9"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param, replicas=1) as started:
        yield started


class Books:
    """Streams of three nodes, two of each; what was written to them, and what was read."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        owners = cluster.owners()
        name = f"books-{next(_numbers)}"
        self.streams: dict[str, Node] = {}
        for number in itertools.count():
            node = owners(f"{name}-{number}")
            if list(self.streams.values()).count(node) < 2:
                self.streams[f"{name}-{number}"] = node
            if len(self.streams) == 6:
                break
        self.written: list[Row] = []
        self.read: list[Row] = []
        self.error: BaseException | None = None

    def write(self, numbers: range) -> None:
        """To all streams; what is written is on the replicas, too, before this returns."""
        owners = self.cluster.owners()
        for stream in self.streams:
            with owners(stream).client() as db:
                self.written += [(stream, entry_id) for entry_id in add(db, stream, numbers)]
        self.replicate()

    def replicate(self) -> None:
        """Until the replicas have what was written until now."""
        owners = self.cluster.owners()
        for stream in self.streams:
            with owners(stream).client() as db:
                db.set(f"{{{stream}}}:written", 1)
                wait_until(
                    lambda db=db: db.execute_command("WAIT", 1, 1_000) >= 1, "replicas have it"
                )

    def follow(self, batches: Any) -> None:
        try:
            for frame in batches:
                self.read += frame.select("_stream", "_id").rows()
        except redcol.ClosedError:
            pass
        except BaseException as error:
            self.error = error

    def await_all(self) -> None:
        wait_until(lambda: bool(self.error) or not self.missing, "all is read")
        if self.error:
            raise self.error

    @property
    def missing(self) -> Counter[Row]:
        return Counter(self.written) - Counter(self.read)


@pytest.mark.parametrize("kind", ["tail", "group"])
def test_a_primary_dies_under_an_iterator(cluster: Cluster, kind: str) -> None:
    cluster.repair()
    books = Books(cluster)
    victim = next(iter(books.streams.values()))
    arguments: dict[str, Any] = {"schema": SCHEMA, "batch_size": 7, "block_ms": 60_000}
    if kind == "group":
        arguments |= {**GROUP, "auto_ack": True}
    books.write(range(40))
    with redcol.iter_stream(cluster.url, list(books.streams), **arguments) as batches:
        first = next(batches)
        books.read += first.select("_stream", "_id").rows()
        thread = threading.Thread(target=books.follow, args=(batches,))
        # While there is a backlog, and later while it waits.
        victim.kill()
        thread.start()
        try:
            alive = [stream for stream, node in books.streams.items() if node is not victim]
            wait_until(
                lambda: bool(books.error) or not any(row[0] in alive for row in books.missing),
                "the other nodes' streams",
            )
            wait_until(lambda: cluster.owner(next(iter(books.streams))) is not victim, "promoted")
            books.await_all()
            cluster.repair()
            books.write(range(40, 60))
            books.await_all()
            if kind == "group":
                wait_until(lambda: pending(books) == 0, "all is acknowledged")
        finally:
            batches.close()
            thread.join(60)
    again = Counter(books.read) - Counter(books.written)
    if kind == "tail":
        assert not again
    # An acknowledgement that the replica had not received is lost with the primary.
    assert all(books.streams[stream] is victim for stream, _ in again)
    for stream in books.streams:
        expected = [row for row in books.written if row[0] == stream]
        found = [row for row in dict.fromkeys(books.read) if row[0] == stream]
        assert found == expected


def pending(books: Books) -> int:
    count = 0
    for stream in books.streams:
        with books.cluster.db(stream) as db:
            count += db.xpending(stream, "g")["pending"]
    return count


def test_a_frame_is_written_and_read_across_a_failover(cluster: Cluster) -> None:
    """What the write says of each row is true of the new primary."""
    cluster.repair()
    books = Books(cluster)
    streams = list(books.streams)
    victim = books.streams[streams[0]]
    frame = pl.DataFrame({"to": [streams[row % 6] for row in range(60)], "n": range(60)})
    with redcol.connect(cluster.url, timeout_ms=60_000) as client:
        assert redcol.write_stream(client, frame, stream_column="to").null_count() == 0
        books.replicate()
        victim.kill()
        # Nothing was under way to it: rows wait for the new primary.
        ids = redcol.write_stream(client, frame, stream_column="to")
        assert ids.null_count() == 0
        found = redcol.read_streams(client, streams, schema=SCHEMA)
        assert len(found) == 120
        for stream in streams:
            rows = list(range(streams.index(stream), 60, 6))
            assert found.filter(pl.col("_key") == stream)["n"].to_list() == rows * 2
